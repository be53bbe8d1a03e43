/** @file A training step by calls of layers, up to its gradients. */
import type { Recording } from "../engine/graph/whole-graph.ts";
import { tf } from "../engine/tf.ts";
import type { ContextOf } from "../model/run-program.ts";
import type { TrainingProgram } from "../model/training-program.ts";
import { forward } from "../model/training-step.ts";
import type { LayerWeights } from "../model/uploads.ts";
import type { GivenOutput, JudgedOutput, UploadedTargets } from "../task/judgement.ts";
import { judgedOutputs } from "../task/judgement.ts";
import type { Objective } from "../task/objective.ts";
import type { ComputedStep, WeightGradient } from "./computed-step.ts";

/** Returns the model's outputs of what a program gives. */
export type GivenBy = (
  tensors: readonly tf.Tensor[],
  masks: readonly (tf.Tensor | undefined)[],
) => readonly GivenOutput[];

export interface CalledStep {
  readonly training: TrainingProgram;
  readonly givenBy: GivenBy;
  readonly objective: Objective;
  readonly features: readonly tf.Tensor[];
  readonly targets: readonly (UploadedTargets | null)[];
  readonly weights: LayerWeights;
}

/**
 * Computes a step, whose tensors the caller owns. Nothing is read off the engine.
 * @param recording Told where parts of the step begin, each a layer's.
 */
export function calledStep(
  { training, givenBy, objective, features, targets, weights }: CalledStep,
  contextOf: ContextOf,
  recording?: Pick<Recording, "beginPart" | "keepOrder">,
): ComputedStep {
  const pass = forward(training, features, weights, (node, layer) => {
    recording?.beginPart();
    return contextOf(node, layer);
  });
  recording?.beginPart();
  let parts: readonly JudgedOutput[];
  try {
    parts = judgedOutputs(objective, givenBy(pass.outputs, pass.outputMasks), targets, { gradients: true });
  } catch (error) {
    pass.dispose();
    throw error;
  }
  const slopes = parts.flatMap(({ gradient }) => gradient ?? []);
  const gradients: WeightGradient[] = [];
  let shared: { readonly path: string; readonly addends: WeightGradient["addends"] } | undefined;
  recording?.keepOrder();
  pass.backwardNow(slopes, (path, name, gradient, addends) => {
    if (shared?.path !== path)
      shared = {
        path,
        addends: addends ? { values: addends.values.clone(), rows: addends.rows.clone() } : null,
      };
    gradients.push({ path, name, gradient: gradient.clone(), addends: shared.addends });
    recording?.beginPart();
  });
  tf.dispose(slopes);
  return { parts, state: pass.state, gradients };
}
