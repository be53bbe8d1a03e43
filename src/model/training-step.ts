/**
 * @file The forward and backward pass of a program, with one small tape for each call. What a call saves for its
 * gradient is released as soon as that gradient is known. A call that no trainable weight and no trained ancestor
 * reaches runs without a tape.
 */
import { record } from "../engine/tape.ts";
import type { tf } from "../engine/tf.ts";
import { callNode, tensorOf } from "../layers/call-node.ts";
import { convolveNormalized } from "../layers/convolution.ts";
import type { KernelResult } from "../layers/kernel.ts";
import { kernelOf } from "../layers/registry.ts";
import type { GraphNode, TensorRef } from "../topology/layer-graph.ts";
import { layerIn, layersByPath, refKey } from "../topology/layer-graph.ts";
import type { OnGradient, RecordedCall, Source } from "./backward-pass.ts";
import { backward, disposeCall } from "./backward-pass.ts";
import { readsOf } from "./program.ts";
import type { ContextOf } from "./run-program.ts";
import { feedValues, release } from "./run-program.ts";
import type { TrainingProgram } from "./training-program.ts";
import type { LayerWeights } from "./uploads.ts";

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
