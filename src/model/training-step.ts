/**
 * @file The forward and backward pass of a program, with one small tape for each call. What a call saves for its
 * gradient is released as soon as that gradient is known. A call that no trainable weight and no trained ancestor
 * reaches runs without a tape.
 */
import type { Recording } from "../engine/tape.ts";
import { record } from "../engine/tape.ts";
import { tf } from "../engine/tf.ts";
import { readsLater } from "../engine/webgpu/repeatable.ts";
import { callNode, tensorOf } from "../layers/call-node.ts";
import { convolveNormalized } from "../layers/convolution.ts";
import type { KernelResult } from "../layers/kernel.ts";
import { kernelOf } from "../layers/registry.ts";
import type { GraphNode, TensorRef } from "../topology/layer-graph.ts";
import { layerIn, layersByPath, refKey } from "../topology/layer-graph.ts";
import { normalizedConvolutions } from "../topology/rewrites/normalized-convolutions.ts";
import type { Addends } from "./lookup-addends.ts";
import { addendsOf, disposeAddends, joined, lookupTables } from "./lookup-addends.ts";
import type { Program } from "./program.ts";
import { readsOf } from "./program.ts";
import type { ContextOf } from "./run-program.ts";
import { feedValues, release } from "./run-program.ts";
import type { LayerWeights } from "./uploads.ts";

/** A program with what is trained in it, computed once for all steps. */
export interface TrainingProgram {
  readonly program: Program;
  /** Names of the weights that receive gradients, by layer path. */
  readonly trainable: ReadonlyMap<string, readonly string[]>;
  /** Keys of the tensors that depend on a trainable weight. */
  readonly differentiable: ReadonlySet<string>;
  /** The number of calls that contribute to the gradient of a layer's weights. */
  readonly calls: ReadonlyMap<string, number>;
  /** The normalization that is computed together with a convolution, by the convolution's node index. */
  readonly normalizations: ReadonlyMap<number, GraphNode>;
  /** Paths of the layers whose gradient is passed on with its addends. */
  readonly lookups: ReadonlySet<string>;
}

/**
 * Receives the gradient of one weight, with its addends if the weight is a lookup table of Keras 3. Both are released
 * when it returns.
 */
export type OnGradient = (path: string, name: string, gradient: tf.Tensor, addends?: Addends) => void;

export interface ForwardPass {
  /** The outputs in the program's order. `backward` or `dispose` releases them. */
  readonly outputs: readonly tf.Tensor[];
  /** The mask of each output, undefined if it has none. Released with the outputs. */
  readonly outputMasks: readonly (tf.Tensor | undefined)[];
  /** New moving statistics by layer path. The caller owns them. */
  readonly state: ReadonlyMap<string, Readonly<Record<string, tf.Tensor>>>;
  /**
   * Passes the gradient of each trainable weight to `onGradient` as soon as it is complete, last layers first, and
   * keeps none. The caller keeps `outputGradients`. Where no values are waited for, all is done when this returns.
   */
  backward(outputGradients: readonly tf.Tensor[], onGradient: OnGradient): Promise<void>;
  /** Does the same before it returns. @throws {Error} on an engine that hands out values in a later turn. */
  backwardNow(outputGradients: readonly tf.Tensor[], onGradient: OnGradient): void;
  dispose(): void;
}

interface RecordedCall {
  /** The layers whose weights the call reads. */
  readonly paths: readonly string[];
  readonly recording: Recording<KernelResult>;
  readonly outputKeys: readonly string[];
  readonly outputs: readonly tf.Tensor[];
  readonly sources: readonly Source[];
  /** The rows of its table that the call read. */
  readonly indices?: tf.Tensor;
}

type Source =
  | { readonly kind: "input"; readonly key: string; readonly tensor: tf.Tensor }
  | { readonly kind: "weight"; readonly path: string; readonly name: string; readonly tensor: tf.Tensor };

/**
 * Prepares a program for training.
 * @param onStoredStatistics Returns true for the path of a normalization that uses its stored statistics in training.
 */
export function trainingProgram(
  program: Program,
  trainable: ReadonlyMap<string, readonly string[]>,
  onStoredStatistics: (path: string) => boolean,
): TrainingProgram {
  const differentiable = new Set<string>();
  const calls = new Map<string, number>();
  for (const node of program.nodes) {
    const trains = (trainable.get(node.layer)?.length ?? 0) > 0;
    if (trains) calls.set(node.layer, (calls.get(node.layer) ?? 0) + 1);
    if (trains || readsOf(node).some((ref) => differentiable.has(refKey(ref)))) {
      node.outputs.forEach((_, output) => {
        differentiable.add(refKey({ node: node.index, output }));
      });
    }
  }
  const normalizations = normalizedConvolutions(program, onStoredStatistics);
  return {
    program,
    trainable,
    differentiable,
    calls,
    normalizations,
    lookups: lookupTables(program, trainable),
  };
}

/** Runs the program in training mode. The caller owns feeds and weights. */
export function forward(
  training: TrainingProgram,
  feeds: readonly tf.Tensor[],
  weights: LayerWeights,
  contextOf: ContextOf,
): ForwardPass {
  const { program, normalizations } = training;
  const absorbed = new Set([...normalizations.values()].map((node) => node.index));
  const values = feedValues(program, feeds);
  const layers = layersByPath(program.graph);
  const recorded: RecordedCall[] = [];
  const state = new Map<string, Readonly<Record<string, tf.Tensor>>>();
  const weightsOf = (path: string): Readonly<Record<string, tf.Tensor>> => ({
    ...weights.get(path),
    ...state.get(path),
  });
  const computation = (node: GraphNode): (() => KernelResult) => {
    const layer = layerIn(layers, node.layer);
    const normalization = normalizations.get(node.index);
    if (!normalization)
      return () => callNode(kernelOf, node, layer, weightsOf(node.layer), values, contextOf(node, layer));
    const x = tensorOf(values, node.inputs[0]!);
    const partOf = ({ layer: path }: GraphNode): Parameters<typeof convolveNormalized>[1] => ({
      layer: layerIn(layers, path),
      weights: weightsOf(path),
    });
    return () => ({ outputs: [convolveNormalized(x, partOf(node), partOf(normalization))] });
  };
  const run = (node: GraphNode): void => {
    const last = normalizations.get(node.index) ?? node;
    const paths = [...new Set([node.layer, last.layer])];
    const sources = [
      ...inputSources(training, node, (ref) => tensorOf(values, ref)),
      ...paths.flatMap((path) => weightSources(training, path, weightsOf(path))),
    ];
    const recording = record(computation(node), sources.length > 0 && sources.map((source) => source.tensor));
    const { outputs, masks, state: newState } = recording.result;
    const keyOf = (output: number): string => refKey({ node: last.index, output });
    const outputKeys = outputs.map((_, output) => keyOf(output));
    if (sources.length > 0) {
      const indices = training.lookups.has(node.layer) && tensorOf(values, node.inputs[0]!).clone();
      recorded.push({ paths, recording, outputKeys, outputs, sources, ...(indices && { indices }) });
    }
    if (newState) keepState(state, node, newState);
    outputs.forEach((tensor, output) => {
      values.tensors.set(keyOf(output), tensor);
    });
    masks?.forEach((mask, output) => {
      if (mask) values.masks.set(keyOf(output), mask);
    });
  };
  const dispose = (): void => {
    for (const call of recorded.splice(0)) disposeCall(call);
    release(values, [...values.tensors.keys(), ...values.masks.keys()]);
  };
  try {
    program.nodes.forEach((node, position) => {
      if (!absorbed.has(node.index)) run(node);
      release(values, program.lastReadAt[position] ?? []);
    });
  } catch (error) {
    // Where memory ran out, what is left of the run needs the room.
    dispose();
    for (const held of state.values()) for (const value of Object.values(held)) value.dispose();
    throw error;
  }
  const outputs = program.outputs.map((ref) => tensorOf(values, ref));
  const outputMasks = program.outputs.map((ref) => values.masks.get(refKey(ref)));
  return {
    outputs,
    outputMasks,
    state,
    dispose,
    backward: async (outputGradients, onGradient) => {
      try {
        const walk = backward(training, recorded, outputGradients, onGradient);
        // Awaiting every call would cost a turn each where nothing is waited for.
        for (let step = walk.next(); !step.done; ) step = walk.next(await step.value);
      } finally {
        dispose();
      }
    },
    backwardNow: (outputGradients, onGradient) => {
      try {
        const { done } = backward(training, recorded, outputGradients, onGradient).next();
        if (!done) throw new Error("training step: values that come in a later turn");
      } finally {
        dispose();
      }
    },
  };
}

function inputSources(
  training: TrainingProgram,
  node: GraphNode,
  tensorAt: (ref: TensorRef) => tf.Tensor,
): Source[] {
  const inputs = new Map(readsOf(node).map((ref) => [refKey(ref), ref] as const));
  const differentiable = [...inputs].filter(([key]) => training.differentiable.has(key));
  return differentiable.map(([key, ref]) => ({ kind: "input", key, tensor: tensorAt(ref) }));
}

function weightSources(
  training: TrainingProgram,
  path: string,
  weights: Readonly<Record<string, tf.Tensor>>,
): Source[] {
  const names = training.trainable.get(path) ?? [];
  return names.map((name) => ({ kind: "weight", path, name, tensor: weights[name]! }));
}

function keepState(
  state: Map<string, Readonly<Record<string, tf.Tensor>>>,
  node: GraphNode,
  values: Readonly<Record<string, tf.Tensor>>,
): void {
  const earlier = state.get(node.layer);
  for (const value of Object.values(earlier ?? {})) value.dispose();
  state.set(node.layer, values);
}

function disposeCall({ recording, indices }: RecordedCall): void {
  recording.dispose();
  indices?.dispose();
}

/** Walks the calls backward. Yields gradients that are waited for, and takes them. */
function* backward(
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
    addGradient(gradients, refKey(ref), outputGradients[index]!.clone());
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
      if (source.kind === "input") addGradient(gradients, source.key, gradient);
      else addGradient(layerGradients(weightGradients, source.path), source.name, gradient);
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

/** Adds `gradient` to the gradient of a tensor and takes ownership of it. */
function addGradient(gradients: Map<string, tf.Tensor>, key: string, gradient: tf.Tensor): void {
  const earlier = gradients.get(key);
  if (!earlier) {
    gradients.set(key, gradient);
    return;
  }
  gradients.set(key, tf.add(earlier, gradient));
  earlier.dispose();
  gradient.dispose();
}
