/** @file A program with what is trained in it. */
import type { GraphNode } from "../topology/layer-graph.ts";
import { refKey } from "../topology/layer-graph.ts";
import { normalizedConvolutions } from "../topology/rewrites/normalized-convolutions.ts";
import { lookupTables } from "./lookup-addends.ts";
import type { Program } from "./program.ts";
import { readsOf } from "./program.ts";

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
