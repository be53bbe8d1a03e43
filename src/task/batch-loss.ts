/** The loss of a batch and its accuracy, each weighted and masked as Keras does (`keras/src/losses/loss.py`). */
import { tf } from "../engine/tf.ts";
import { MachineError } from "../errors.ts";
import { kerasRelease } from "../topology/dialects/dialect.ts";
import { correctPredictions } from "./accuracy.ts";
import type { Loss } from "./losses.ts";
import type { Output } from "./model-output.ts";

/** A model's output beside what it should be. */
export interface Judged {
  readonly output: Output;
  readonly targets: tf.Tensor;
  /** `[N]` */
  readonly sampleWeights?: tf.Tensor | undefined;
  /** Which positions count, of the shape of the losses; all without one. */
  readonly mask?: tf.Tensor | undefined;
  /** What the mean under a mask divides by. */
  readonly meanOver: MeanOver;
}

/** The positions that a mask leaves, or all. */
export type MeanOver = "visible" | "all";

/**
 * What the Keras of that version divides a masked loss by. 2.3 to 2.9 multiply by the mask alone, and so does tf.keras since
 * TensorFlow 1.13, which calls itself 2.2.4-tf (`keras/engine/compile_utils.py`, apply_mask).
 */
export function meanUnderMask(kerasVersion: string): MeanOver {
  const { major, minor = 0, isTensorFlows } = kerasRelease(kerasVersion);
  const isBetween = major === 2 && minor >= (isTensorFlows ? 2 : 3) && minor <= 9;
  return isBetween ? "all" : "visible";
}

/** The batch's mean loss times its samples, a scalar. */
export function lossSum(loss: Loss, { output, targets, sampleWeights, mask, meanOver }: Judged): tf.Tensor {
  return tf.tidy(() => {
    const perSample = loss.perSample(targets, output);
    const counted = mask ? tf.mul(perSample, maskWeights(mask, meanOver)) : perSample;
    const axes = counted.shape.slice(1).map((_, index) => index + 1);
    const each = axes.length > 0 ? tf.mean(counted, axes) : counted;
    return tf.sum(sampleWeights ? tf.mul(each, sampleWeights) : each);
  });
}

/** `lossSum`, and the gradient of the mean by the output's values. */
export function lossGradient(loss: Loss, judged: Judged): { sum: tf.Tensor; gradient: tf.Tensor } {
  const { output, targets } = judged;
  const samples = targets.shape[0]!;
  return tf.tidy(() => {
    const { value, grad } = tf.valueAndGrad((values: tf.Tensor) =>
      tf.div(lossSum(loss, { ...judged, output: { ...output, values } }), samples),
    )(output.values);
    if (value.rank !== 0)
      throw new MachineError(`loss ${loss.name}: expected a scalar, got rank ${value.rank}.`);
    return { sum: tf.mul(value, samples), gradient: grad };
  });
}

/** How many predictions are correct, in samples, and out of how many; null for a loss without accuracy. */
export function accuracySums(
  loss: Loss,
  { output, targets, mask }: Judged,
): { correct: number; counted: number } | null {
  const samples = targets.shape[0]!;
  let sums: { correct: number; counted: number } | null = null;
  tf.tidy(() => {
    const each = correctPredictions(loss, targets, output);
    if (!each) return;
    const positions = each.size / samples;
    const counts = mask && tf.cast(mask, "float32");
    const sumOf = (values: tf.Tensor): number => tf.mul(tf.mean(values), samples).dataSync()[0]!;
    sums = counts
      ? { correct: sumOf(tf.mul(each, counts)), counted: tf.sum(counts).dataSync()[0]! / positions }
      : { correct: sumOf(each), counted: samples };
  });
  return sums;
}

/** Positions that count share the weight of all; none has any where none counts. */
function maskWeights(mask: tf.Tensor, meanOver: MeanOver): tf.Tensor {
  const counts = tf.cast(mask, "float32");
  if (meanOver === "all") return counts;
  return tf.mul(counts, tf.divNoNan(mask.size, tf.sum(counts)));
}
