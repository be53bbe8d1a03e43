import type { Weights } from "../checkpoint.ts";
import type { tf } from "../engine/tf.ts";
import type { Partition } from "../freeze/partition.ts";
import type { LayerWeights } from "../model/layer-weights.ts";
import { disposeWeights, uploadWeights } from "../model/layer-weights.ts";
import { programBetween } from "../model/program.ts";
import { runProgram } from "../model/run-program.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";

/** The static part: what runs once per image, in inference form. */
export interface Trunk {
  /** One tensor for each frontier tensor. The caller owns inputs and outputs. */
  run(inputs: readonly tf.Tensor[]): tf.Tensor[];
  dispose(): void;
}

export function createTrunk(graph: LayerGraph, partition: Partition, weights: Weights): Trunk {
  const program = programBetween(
    graph,
    graph.inputs.map((input) => input.ref),
    partition.frontier,
  );
  const uploaded: LayerWeights = uploadWeights(
    weights,
    program.nodes.map((node) => node.layer),
  );
  return {
    run: (inputs) => runProgram(program, inputs, uploaded),
    dispose: () => disposeWeights(uploaded),
  };
}
