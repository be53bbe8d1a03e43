/** The loss of a batch, weighted, masked and reduced as Keras does (`keras/src/losses/loss.py`). */
import { gradients } from "../../engine/tape.ts";
import { tf } from "../../engine/tf.ts";
import { UsageError } from "../../errors.ts";
import { formatShape } from "../../tensor.ts";
import type { Loss } from "./loss.ts";
import type { Output } from "./output.ts";

/** One output of a batch beside what it should be. */
export interface Judged {
  readonly output: Output;
  readonly targets: tf.Tensor;
  /** `[N]`, or one weight per position. */
  readonly sampleWeights?: tf.Tensor | undefined;
  /** The positions that count, of the shape of the loss's values; all without one. */
  readonly mask?: tf.Tensor | undefined;
  /** Divisor of the mean under a mask. */
  readonly meanOver: MeanOver;
}

/** The positions that a mask leaves, or all. */
export type MeanOver = "visible" | "all";

/**
 * Returns what the Keras of that version divides a masked loss by. 2.3 to 2.9 multiply by the mask alone, and so does tf.keras
 * since TensorFlow 1.13, which calls itself 2.2.4-tf (`keras/engine/compile_utils.py`, apply_mask).
 */
export function meanUnderMask(kerasVersion: string): MeanOver {
  const [major, minor] = kerasVersion.split(".").map(Number);
  const isBetween = major === 2 && minor !== undefined && minor >= 3 && minor <= 9;
  return isBetween || kerasVersion === "2.2.4-tf" ? "all" : "visible";
}

/** Returns the batch's loss as Keras reports it, a scalar. */
export function batchLoss(loss: Loss, judged: Judged): tf.Tensor {
  return tf.tidy(() => {
    const { counted, weights } = weighted(loss, judged);
    if (counted.rank === 0) return counted;
    switch (loss.reduction) {
      case "sum":
        return tf.sum(counted);
      case "mean_with_sample_weight":
        return weights ? tf.divNoNan(tf.sum(counted), tf.sum(weights)) : tf.mean(counted);
      default:
        return tf.mean(counted);
    }
  });
}

/** Returns `batchLoss`, and the gradient of `scale` times the loss by the output's values. The caller's. */
export function lossGradient(
  loss: Loss,
  judged: Judged,
  scale = 1,
): { readonly value: tf.Tensor; readonly gradient: tf.Tensor } {
  return tf.tidy(() => {
    const short = slopedLoss(loss, judged, scale);
    if (short) return short;
    const { values } = judged.output;
    const computed = gradients(() => batchLoss(loss, judged), [values]);
    const { value } = computed;
    const [grad] = computed.gradients;
    if (!grad) {
      throw new UsageError(
        `loss ${loss.name}: expected a value that depends on the output, got one without a gradient. Compute it from the output with differentiable operations.`,
        "loss-without-gradient",
      );
    }
    // The gradient of a loss that is not reduced is that of its sum.
    const times = loss.reduction === "none" ? scale * valueCount(loss, judged) : scale;
    return { value, gradient: times === 1 ? grad : tf.mul(grad, times) };
  });
}

/** Computes `lossGradient` without a tape where the loss knows its gradient and every value counts the same; else null. */
function slopedLoss(
  { sloped, reduction }: Loss,
  { output, targets, sampleWeights, mask }: Judged,
  scale: number,
): { readonly value: tf.Tensor; readonly gradient: tf.Tensor } | null {
  const found = sampleWeights || mask ? null : sloped?.(targets, output);
  if (!found) return null;
  const { values, slopes, factor } = found;
  const isMean = reduction === "sum_over_batch_size" || reduction === "mean_with_sample_weight";
  const times = (scale * factor) / (isMean ? values.size : 1);
  const gradient = times === 1 ? slopes.clone() : tf.mul(slopes, times);
  return { value: reduction === "sum" ? tf.sum(values) : tf.mean(values), gradient };
}

function valueCount(loss: Loss, judged: Judged): number {
  return tf.tidy(() => weighted(loss, judged).counted.size);
}

/** Returns the values times their weights, and the weights. */
function weighted(
  loss: Loss,
  { output, targets, sampleWeights, mask, meanOver }: Judged,
): { counted: tf.Tensor; weights: tf.Tensor | null } {
  const given = loss.values(targets, output);
  const { values, mask: own } = "values" in given ? given : { values: given, mask: undefined };
  const scaled = loss.reduction === "sum_over_batch_size" && meanOver === "visible";
  const shown = mask && own ? tf.logicalAnd(tf.cast(mask, "bool"), own) : (mask ?? own);
  const counts = shown && (scaled ? shareWeights(shown) : tf.cast(shown, "float32"));
  const all = [counts, sampleWeights].filter((weights) => weights !== undefined);
  if (all.length === 0) return { counted: values, weights: null };
  const weights = all.reduce((product, factor) => tf.mul(...aligned(loss, product, factor)));
  return { counted: tf.mul(...aligned(loss, values, weights)), weights };
}

/** Positions that count share the weight of all; none has any where none counts. */
function shareWeights(mask: tf.Tensor): tf.Tensor {
  const counts = tf.cast(mask, "float32");
  return tf.mul(counts, tf.divNoNan(mask.size, tf.sum(counts)));
}

/** Weights of samples count for all their positions: a lower rank is filled up at its end, where Keras 2 does the same and Keras 3 fails. */
function aligned(loss: Loss, a: tf.Tensor, b: tf.Tensor): [tf.Tensor, tf.Tensor] {
  if (a.rank === 0 || b.rank === 0) return [a, b];
  const rank = Math.max(a.rank, b.rank);
  const filled = (tensor: tf.Tensor): tf.Tensor =>
    tensor.rank === rank
      ? tensor
      : tf.reshape(tensor, [...tensor.shape, ...new Array<number>(rank - tensor.rank).fill(1)]);
  const [first, second] = [filled(a), filled(b)];
  const fit = first.shape.every((size, axis) => [size, 1].includes(second.shape[axis] ?? 1) || size === 1);
  if (fit) return [first, second];
  throw new UsageError(
    `loss ${loss.name}: weights: expected one per sample, or one per value of the loss, got ${formatShape(b.shape)} for ${formatShape(a.shape)}.`,
    "sample-weights",
  );
}
