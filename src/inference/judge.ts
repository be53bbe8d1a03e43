import type { Checkpoint, Weights } from "../checkpoint.ts";
import { ensureEngine } from "../engine/backend.ts";
import { takeScalars } from "../engine/scalars.ts";
import { tf } from "../engine/tf.ts";
import { repeatable } from "../engine/webgpu/repeatable.ts";
import { trainableWeights } from "../freeze/trainable-weights.ts";
import { inferenceProgram } from "../model/inference-program.ts";
import { graphTolerance, programRunner } from "../model/program-runner.ts";
import { disposeWeights, uploadRows, uploadWeights } from "../model/uploads.ts";
import type { BatchScores } from "../task/judgement.ts";
import { judge } from "../task/judgement.ts";
import type { Objective } from "../task/objective.ts";
import type { OutputTargets } from "../task/output-targets.ts";
import type { InputTensor } from "../tensor.ts";
import { layerGraph } from "../topology/build-graph.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";
import { withActivityPenalties } from "../topology/rewrites/activity-penalties.ts";
import { withLogitsOutputs } from "../topology/rewrites/logits-output.ts";
import { requireSupported } from "../topology/support.ts";
import { activityPenalties } from "../training/activity-penalties.ts";
import { storedPenaltyTotal, sumOf } from "../training/regularizers.ts";
import { weightPenalties } from "../training/weight-rules.ts";

/** A model in inference mode beside its task, its weights on the engine. */
export interface Judge {
  readonly graph: LayerGraph;
  /** Returns the figures of a batch; every trained output is observed. */
  run(inputs: readonly InputTensor[], targets: readonly (OutputTargets | null)[]): Promise<JudgedBatch>;
  dispose(): void;
}

export interface JudgedBatch extends BatchScores {
  /** Sum that regularizers of weights and activities add to the batch's loss. */
  readonly penalty: number;
}

/** @throws {TopologyError} for a layer that cannot be computed here. */
export async function openJudge(checkpoint: Checkpoint, objective: Objective): Promise<Judge> {
  await ensureEngine();
  const plain = layerGraph(checkpoint);
  requireSupported(plain);
  const penalized = withActivityPenalties(plain, checkpoint.kerasVersion);
  const reduction = penalized.activityPenalties?.reduction ?? "mean";
  const { graph, outputs: logits } = withLogitsOutputs(penalized);
  const { program, weights: values, contextOf } = inferenceProgram(graph, checkpoint.weights);
  const weights = uploadWeights(
    values,
    program.nodes.map((node) => node.layer),
  );
  const runner = programRunner(program, contextOf, graphTolerance);
  const standing = await penaltyOfWeights(penalized, checkpoint.weights);
  return {
    graph: plain,
    run: async (inputs, targets) => {
      const feeds = inputs.map((input) => uploadRows(input, 0, input.shape[0] ?? 0));
      const { outputs, masks } = await repeatable(() => runner.run(feeds, weights));
      try {
        const given = logits.flatMap((how, index) => {
          const tensor = outputs[index];
          return tensor ? [{ ...how, values: tensor, mask: masks[index] }] : [];
        });
        const [{ scores }, activities] = await Promise.all([
          judge(objective, given, targets, { observed: true }),
          takeScalars(activityPenalties(outputs.slice(logits.length), reduction)),
        ]);
        return { ...scores, penalty: standing + sumOf(activities) };
      } finally {
        tf.dispose([...feeds, ...outputs, ...masks.flatMap((mask) => mask ?? [])]);
      }
    },
    dispose: () => {
      runner.dispose();
      disposeWeights(weights);
    },
  };
}

/** Returns what the regularized weights add, those that train by the file's own flags among them. */
function penaltyOfWeights(graph: LayerGraph, weights: Weights): Promise<number> {
  const frozen = graph.layers.filter((layer) => !layer.trainable).map((layer) => layer.path);
  const trainable = trainableWeights(graph, {
    frozen: new Set(frozen),
    bnMode: "follow",
    newLayers: new Set(),
  });
  return storedPenaltyTotal(weightPenalties(graph, trainable), weights);
}
