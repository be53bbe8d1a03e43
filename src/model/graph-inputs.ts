/** @file The common part of programs and training steps that run as TensorFlow graphs: where they can, and what a graph is fed. */
import type { NativeGraph } from "../engine/graph/native-graph.ts";
import { graphBackend } from "../engine/graph/whole-graph.ts";
import type { NativeBackend } from "../engine/native-engine.ts";
import type { tf } from "../engine/tf.ts";
import { MachineError } from "../errors.ts";
import { hasCustomKernels } from "../layers/custom-kernels.ts";
import type { Program } from "./program.ts";
import type { LayerWeights } from "./uploads.ts";

/** The layer and name of each weight, in the order in which a graph takes them. */
export type WeightNames = readonly (readonly [path: string, name: string])[];

/** Returns true for a program of few calls, each of which takes so little that a graph saves little: it pays after far more batches. */
export function hasFewCalls({ nodes }: Pick<Program, "nodes">): boolean {
  return nodes.length < 24;
}

/** Returns the native backend where a batch can run as a graph: not texts, and not where registered classes may do anything. */
export function backendForGraph(feeds: readonly tf.Tensor[]): NativeBackend | undefined {
  if (hasCustomKernels() || feeds.some(({ dtype }) => dtype === "string")) return undefined;
  return graphBackend();
}

/** Returns what tells one batch's shapes from another's. */
export function shapesKey(
  tensors: readonly { readonly dtype: string; readonly shape: readonly number[] }[],
): string {
  return tensors.map(({ dtype, shape }) => `${dtype} ${shape}`).join(";");
}

export function weightNames(weights: LayerWeights): WeightNames {
  return [...weights].flatMap(([path, layer]) => Object.keys(layer).map((name) => [path, name] as const));
}

/**
 * Runs a graph; returns null where it fails for what the batch holds, such as a token that a table has no row for: calls say which layer
 * it is.
 */
export function graphRun(graph: NativeGraph, inputs: readonly tf.Tensor[]): tf.Tensor[] | null {
  try {
    return graph.run(inputs);
  } catch (error) {
    if (error instanceof MachineError) throw error;
    return null;
  }
}

/** Returns what a graph is fed: the batch, then the weights. */
export function graphInputs(
  feeds: readonly tf.Tensor[],
  weights: LayerWeights,
  names: WeightNames,
): tf.Tensor[] {
  const fed = names.map(([path, name]) => {
    const weight = weights.get(path)?.[name];
    if (!weight) throw new Error(`graph: no weight ${path}/${name}`);
    return weight;
  });
  return [...feeds, ...fed];
}
