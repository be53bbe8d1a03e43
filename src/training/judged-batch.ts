/** @file The figures of a batch that is trained on, and the gradients that its backward pass begins with. */
import type { tf } from "../engine/tf.ts";
import { readsLater } from "../engine/webgpu/repeatable.ts";
import type { ForwardPass } from "../model/training-step.ts";
import type { BatchScores, GivenOutput } from "../task/judgement.ts";
import { judge, judgeAhead } from "../task/judgement.ts";
import type { Objective } from "../task/objective.ts";
import type { OutputTargets } from "../task/output-targets.ts";

/** The figures of one batch. */
export interface BatchFigures extends BatchScores {
  /** Sum that regularizers of weights and activities add to the batch's loss. */
  readonly penalty: number;
}

export interface JudgedBatch {
  /** Gradients of the loss by each output, which are the caller's. */
  readonly ofOutputs: readonly tf.Tensor[];
  /** On a GPU a promise, so that the backward pass can be submitted before the figures are there. */
  readonly figures: BatchFigures | Promise<BatchFigures>;
}

/** Judges a forward pass, which is released if that fails. `penaltyNow` returns what the regularizers add before the update. */
export async function judgedBatch(
  pass: ForwardPass,
  objective: Objective,
  batch: { readonly given: readonly GivenOutput[]; readonly targets: readonly (OutputTargets | null)[] },
  penaltyNow: () => Promise<number>,
): Promise<JudgedBatch> {
  try {
    if (readsLater()) {
      const { scores, gradients } = await judgeAhead(objective, batch.given, batch.targets);
      return { ofOutputs: gradients, figures: withPenalty(scores, penaltyNow()) };
    }
    const [{ scores, gradients }, penalty] = await Promise.all([
      judge(objective, batch.given, batch.targets, { gradients: true }),
      penaltyNow(),
    ]);
    return { ofOutputs: gradients, figures: { ...scores, penalty } };
  } catch (error) {
    pass.dispose();
    throw error;
  }
}

/** Returns the figures once they are there. Until somebody waits for them, a failure is nobody's. */
function withPenalty(scores: Promise<BatchScores>, penalty: Promise<number>): Promise<BatchFigures> {
  const figures = Promise.all([scores, penalty]).then(([read, amount]) => ({ ...read, penalty: amount }));
  figures.catch(() => undefined);
  return figures;
}

/** Returns true if neither the loss nor what regularizers add is NaN or infinite. */
export function isFiniteLoss({ loss, penalty }: BatchFigures): boolean {
  return Number.isFinite(loss + penalty);
}
