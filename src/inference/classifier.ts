import type { Checkpoint } from "../checkpoint.ts";
import { ensureEngine } from "../engine/backend.ts";
import { tf } from "../engine/tf.ts";
import { UsageError } from "../errors.ts";
import { inferenceProgram } from "../model/inference-program.ts";
import { runProgram } from "../model/run-program.ts";
import { disposeWeights, uploadRows, uploadWeights } from "../model/uploads.ts";
import type { Output } from "../task/model-output.ts";
import type { InputTensor } from "../tensor.ts";
import { formatShape } from "../tensor.ts";
import { layerGraph } from "../topology/build-graph.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";
import { withActivityPenalties } from "../topology/rewrites/activity-penalties.ts";
import { withLogitsOutput } from "../topology/rewrites/logits-output.ts";
import { requireSupported } from "../topology/support.ts";

/** A model with one output of class scores, its weights on the engine. */
export interface Classifier {
  readonly graph: LayerGraph;
  /** Width of the output; 1 is one sigmoid for two classes. */
  readonly units: number;
  /**
   * What `read` makes of the outputs of one batch, in inference mode, and of what its activities add to the loss where the
   * classifier counts it; the tensors are gone afterwards.
   */
  run<T>(inputs: readonly InputTensor[], read: (output: Output, activities: readonly tf.Tensor[]) => T): T;
  dispose(): void;
}

/**
 * `activities` says that activity penalties are counted too.
 * @throws {UsageError} for a model that is no classifier. @throws {TopologyError} for a layer that cannot be computed here.
 */
export async function openClassifier(
  checkpoint: Checkpoint,
  { activities = false }: { readonly activities?: boolean } = {},
): Promise<Classifier> {
  await ensureEngine();
  const plain = layerGraph(checkpoint);
  const graph = activities ? withActivityPenalties(plain, checkpoint.kerasVersion) : plain;
  requireSupported(graph);
  const units = outputUnits(graph);
  const { graph: upToLogits, activation } = withLogitsOutput(graph);
  const { program, weights: values, contextOf } = inferenceProgram(upToLogits, checkpoint.weights);
  const weights = uploadWeights(
    values,
    program.nodes.map((node) => node.layer),
  );
  return {
    graph,
    units,
    run: (inputs, read) => {
      const feeds = inputs.map((input) => uploadRows(input, 0, input.shape[0]!));
      const outputs = runProgram(program, feeds, weights, contextOf);
      const [values, ...penalties] = outputs as [tf.Tensor, ...tf.Tensor[]];
      try {
        return read({ values, activation }, penalties);
      } finally {
        tf.dispose([...feeds, ...outputs]);
      }
    },
    dispose: () => disposeWeights(weights),
  };
}

function outputUnits(graph: LayerGraph): number {
  const [output] = graph.outputs;
  const shape = output && graph.nodes[output.ref.node]!.outputs[output.ref.output]!.shape;
  const units = shape?.length === 2 ? shape[1] : null;
  if (graph.outputs.length === 1 && units) return units;
  throw new UsageError(
    `${graph.name}: expected a classifier with one output [None,classes], got ${graph.outputs.length}, ` +
      `the first ${shape ? formatShape(shape) : "of unknown shape"}.`,
    "not-a-classifier",
  );
}
