import { tf } from "../engine/tf.ts";
import type { Values } from "../layers/call-node.ts";
import { callNode, ownHandles, tensorOf } from "../layers/call-node.ts";
import type { KernelContext, KernelResult } from "../layers/kernel.ts";
import { kernelOf } from "../layers/registry.ts";
import type { GraphLayer, GraphNode } from "../topology/layer-graph.ts";
import { layerIn, layersByPath, refKey } from "../topology/layer-graph.ts";
import type { Program } from "./program.ts";
import type { LayerWeights } from "./uploads.ts";

/** Returns how one call runs: whether the layer is active, which statistics it uses, and its random numbers. */
export type ContextOf = (node: GraphNode, layer: GraphLayer) => KernelContext;

/** The context of inference: no layer is active, and stored statistics are used. */
export const inferenceContext: ContextOf = (_node, layer) => ({
  training: false,
  statistics: "stored",
  random: { nextSeed: () => 0 },
  keras: layer.keras,
});

export interface ProgramResult {
  readonly outputs: tf.Tensor[];
  /** The mask of each output, undefined if it has none. */
  readonly masks: (tf.Tensor | undefined)[];
}

/**
 * Computes the program's outputs for `feeds`, one tensor for each of the program's inputs. Intermediate tensors are
 * released as soon as their last reader has run. The caller owns feeds, weights and outputs.
 */
export function runProgram(
  program: Program,
  feeds: readonly tf.Tensor[],
  weights: LayerWeights,
  contextOf: ContextOf = inferenceContext,
): tf.Tensor[] {
  const { outputs, masks } = runWithMasks(program, feeds, weights, contextOf);
  for (const mask of masks) mask?.dispose();
  return outputs;
}

/** Computes the outputs with their masks. The caller owns both. */
export function runWithMasks(
  program: Program,
  feeds: readonly tf.Tensor[],
  weights: LayerWeights,
  contextOf: ContextOf = inferenceContext,
): ProgramResult {
  const values = feedValues(program, feeds);
  try {
    return computed(program, values, weights, contextOf);
  } catch (error) {
    release(values, [...values.tensors.keys(), ...values.masks.keys()]);
    throw error;
  }
}

/** Computes the outputs, and uses up the values that it is given. */
function computed(
  program: Program,
  values: Values,
  weights: LayerWeights,
  contextOf: ContextOf,
): ProgramResult {
  const layers = layersByPath(program.graph);
  program.nodes.forEach((node, position) => {
    const layer = layerIn(layers, node.layer);
    const result = tidyResult(() =>
      callNode(kernelOf, node, layer, weights.get(node.layer) ?? {}, values, contextOf(node, layer)),
    );
    for (const value of Object.values(result.state ?? {})) value.dispose();
    result.outputs.forEach((tensor, output) => {
      values.tensors.set(refKey({ node: node.index, output }), tensor);
    });
    result.masks?.forEach((mask, output) => {
      if (mask) values.masks.set(refKey({ node: node.index, output }), mask);
    });
    release(values, program.lastReadAt[position] ?? []);
  });
  const kept = new Set(program.outputs.map(refKey));
  release(
    values,
    program.inputs.map(refKey).filter((key) => !kept.has(key)),
  );
  const own = ownHandles([]);
  return {
    outputs: program.outputs.map((ref) => own(tensorOf(values, ref))),
    masks: program.outputs.map((ref) => {
      const mask = values.masks.get(refKey(ref));
      return mask && own(mask);
    }),
  };
}

/** Runs a kernel in `tf.tidy` and keeps its outputs, masks and state. */
function tidyResult(call: () => KernelResult): KernelResult {
  return tf.tidy(() => call() as unknown as tf.TensorContainer) as unknown as KernelResult;
}

/** Returns the feeds by key as new handles: releasing them does not affect the caller's tensors. */
export function feedValues(program: Program, feeds: readonly tf.Tensor[]): Values {
  const tensors = new Map(program.inputs.map((ref, index) => [refKey(ref), feeds[index]!.clone()] as const));
  return { tensors, masks: new Map() };
}

export function release(values: Values, keys: readonly string[]): void {
  for (const key of keys) {
    values.tensors.get(key)?.dispose();
    values.tensors.delete(key);
    values.masks.get(key)?.dispose();
    values.masks.delete(key);
  }
}
