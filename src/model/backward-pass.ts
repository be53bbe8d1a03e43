/** @file The backward pass of a training step, over the calls that its forward pass has recorded. */
import type { Recording } from "../engine/tape.ts";
import { gather } from "../engine/tape-walk.ts";
import type { tf } from "../engine/tf.ts";
import { readsLater } from "../engine/webgpu/repeatable.ts";
import type { KernelResult } from "../layers/kernel.ts";
import { refKey } from "../topology/layer-graph.ts";
import type { Addends } from "./lookup-addends.ts";
import { addendsOf, disposeAddends, joined } from "./lookup-addends.ts";
import type { TrainingProgram } from "./training-program.ts";

/**
 * Receives the gradient of one weight, with its addends if the weight is a lookup table of Keras 3. Both are released
 * when it returns.
 */
export type OnGradient = (path: string, name: string, gradient: tf.Tensor, addends?: Addends) => void;

export interface RecordedCall {
  /** The layers whose weights the call reads. */
  readonly paths: readonly string[];
  readonly recording: Recording<KernelResult>;
  readonly outputKeys: readonly string[];
  readonly outputs: readonly tf.Tensor[];
  readonly sources: readonly Source[];
  /** The rows of its table that the call read. */
  readonly indices?: tf.Tensor;
}

export type Source =
  | { readonly kind: "input"; readonly key: string; readonly tensor: tf.Tensor }
  | { readonly kind: "weight"; readonly path: string; readonly name: string; readonly tensor: tf.Tensor };

export function disposeCall({ recording, indices }: RecordedCall): void {
  recording.dispose();
  indices?.dispose();
}

/** Walks the calls backward. Yields gradients that are waited for, and takes them. */
export function* backward(
  training: TrainingProgram,
  recorded: RecordedCall[],
  outputGradients: readonly tf.Tensor[],
  onGradient: OnGradient,
): Generator<Promise<SourceGradients>, void, SourceGradients> {
  const gradients = new Map<string, tf.Tensor>();
  const weightGradients = new Map<string, Map<string, tf.Tensor>>();
  const addends = new Map<string, Addends[]>();
  const remaining = new Map(training.calls);
  training.program.outputs.forEach((ref, index) => {
    gather(gradients, refKey(ref), outputGradients[index]!.clone());
  });
  for (let call = recorded.pop(); call; call = recorded.pop()) {
    const { paths, recording, outputKeys, outputs, sources, indices } = call;
    const incoming = outputKeys.map((key) => gradients.get(key));
    const wanted = sources.map((source) => source.tensor);
    const found = incoming.some(Boolean)
      ? gradientsOf(recording, outputs, incoming, wanted)
      : sources.map(() => null);
    const results = found instanceof Promise ? yield found : found;
    if (indices && incoming[0]) {
      const [path] = paths as [string];
      addends.set(path, [...(addends.get(path) ?? []), addendsOf(indices, incoming[0])]);
    }
    disposeCall(call);
    for (const key of outputKeys) {
      gradients.get(key)?.dispose();
      gradients.delete(key);
    }
    sources.forEach((source, index) => {
      const gradient = results[index];
      if (!gradient) return;
      if (source.kind === "input") gather(gradients, source.key, gradient);
      else gather(layerGradients(weightGradients, source.path), source.name, gradient);
    });
    for (const path of paths.filter((each) => remaining.has(each))) {
      const left = remaining.get(path)! - 1;
      remaining.set(path, left);
      if (left === 0) deliver(path, weightGradients, addends.get(path), onGradient);
    }
  }
  for (const gradient of gradients.values()) gradient.dispose();
}

/** The gradient of each source of a call, null where the call's outputs do not depend on it. */
type SourceGradients = (tf.Tensor | null)[];

/** Returns a recording's gradients, on a GPU once the values are there that they are computed from. */
function gradientsOf(
  recording: Recording<KernelResult>,
  outputs: readonly tf.Tensor[],
  incoming: readonly (tf.Tensor | undefined)[],
  sources: readonly tf.Tensor[],
): SourceGradients | Promise<SourceGradients> {
  return readsLater()
    ? recording.laterGradients(outputs, incoming, sources)
    : recording.gradients(outputs, incoming, sources);
}

function layerGradients(all: Map<string, Map<string, tf.Tensor>>, path: string): Map<string, tf.Tensor> {
  const own = all.get(path) ?? new Map<string, tf.Tensor>();
  all.set(path, own);
  return own;
}

function deliver(
  path: string,
  weightGradients: Map<string, Map<string, tf.Tensor>>,
  addends: readonly Addends[] | undefined,
  onGradient: OnGradient,
): void {
  const whole = addends && joined(addends);
  for (const [name, gradient] of weightGradients.get(path) ?? []) {
    onGradient(path, name, gradient, whole);
    gradient.dispose();
  }
  if (whole) disposeAddends(whole);
  weightGradients.delete(path);
}
