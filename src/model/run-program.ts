import { tf } from "../engine/tf.ts";
import type { Values } from "../layers/call-node.ts";
import { callNode, ownHandles, tensorOf } from "../layers/call-node.ts";
import type { KernelContext, KernelResult } from "../layers/kernel.ts";
import { kernelOf } from "../layers/registry.ts";
import type { GraphLayer, GraphNode } from "../topology/layer-graph.ts";
import { layersByPath, refKey } from "../topology/layer-graph.ts";
import type { Program } from "./program.ts";
import type { LayerWeights } from "./uploads.ts";

/** How one call runs: active or not, on which statistics, with which random numbers. */
export type ContextOf = (node: GraphNode, layer: GraphLayer) => KernelContext;

/** Inference: nothing active, stored statistics. */
export const inferenceContext: ContextOf = (_node, layer) => ({
  training: false,
  statistics: "stored",
  random: { nextSeed: () => 0 },
  keras: layer.keras,
});

export interface ProgramResult {
  readonly outputs: tf.Tensor[];
  /** The mask beside each output, undefined where there is none. */
  readonly masks: (tf.Tensor | undefined)[];
}

/**
 * The program's outputs for `feeds`, one tensor for each of the program's inputs. Every tensor between is released as soon as
 * its last reader has run. The caller owns feeds, weights and outputs.
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

/** `runProgram` with the outputs' masks, the caller's too. */
export function runWithMasks(
  program: Program,
  feeds: readonly tf.Tensor[],
  weights: LayerWeights,
  contextOf: ContextOf = inferenceContext,
): ProgramResult {
  const values = feedValues(program, feeds);
  const layers = layersByPath(program.graph);
  program.nodes.forEach((node, position) => {
    const layer = layers.get(node.layer)!;
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
    release(values, program.lastReadAt[position]!);
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

/** `tf.tidy` over a kernel's result: its outputs, masks and state stay. */
function tidyResult(call: () => KernelResult): KernelResult {
  return tf.tidy(() => call() as unknown as tf.TensorContainer) as unknown as KernelResult;
}

/** The feeds under their keys, as handles of our own: releasing them leaves the caller's tensors alone. */
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
