/** Keras's losses of whole batches of masks and of embeddings, and of sequences (`keras/src/losses/losses.py`). */
import { tf } from "../../engine/tf.ts";
import { axesOf } from "../../layers/axes.ts";
import { alignmentLoss } from "../../layers/ops/ctc-loss.ts";
import type { LossDefinition, LossSettings } from "./loss-definition.ts";
import { activated, epsilon } from "./output.ts";

export const overlaps: Readonly<Record<string, LossDefinition>> = {
  dice: {
    className: "Dice",
    kind: "any",
    defaults: { axis: null },
    create: (settings) => (targets, output) => {
      const given = activated(output);
      const axes = axesIn(settings, given.rank);
      const both = tf.sum(tf.mul(targets, given), axes);
      const sizes = tf.add(tf.add(tf.sum(targets, axes), tf.sum(given, axes)), epsilon);
      return tf.sub(1, tf.div(tf.mul(both, 2), sizes));
    },
  },
  tversky: {
    className: "Tversky",
    kind: "any",
    defaults: { alpha: 0.5, beta: 0.5, axis: null },
    create: (settings) => (targets, output) => {
      const { alpha, beta } = settings as { alpha: number; beta: number };
      const given = activated(output);
      const axes = axesIn(settings, given.rank);
      const both = tf.sum(tf.mul(targets, given), axes);
      const missed = tf.sum(tf.mul(tf.sub(1, given), targets), axes);
      const added = tf.sum(tf.mul(given, tf.sub(1, targets)), axes);
      const apart = tf.add(tf.add(tf.mul(missed, alpha), tf.mul(added, beta)), epsilon);
      return tf.sub(1, tf.div(both, tf.add(both, apart)));
    },
  },
  circle: {
    className: "Circle",
    kind: "any",
    targets: "identities",
    defaults: { gamma: 80, margin: 0.4, remove_diagonal: true },
    create: (settings) => (targets, output) => {
      const { gamma, margin } = settings as { gamma: number; margin: number };
      const given = activated(output) as tf.Tensor2D;
      const distances = tf.relu(tf.sub(1, tf.matMul(given, given, false, true)));
      const rows = tf.reshape(tf.cast(targets, "int32"), [-1, 1]);
      const same = tf.equal(rows, tf.transpose(rows));
      const itself = tf.cast(tf.eye(given.shape[0]), "bool");
      const positives =
        settings["remove_diagonal"] === true ? tf.logicalAnd(same, tf.logicalNot(itself)) : same;
      const near = pull(positives, tf.add(distances, margin), tf.mul(tf.sub(margin, distances), -gamma));
      const far = pull(
        tf.logicalNot(same),
        tf.sub(1 + margin, distances),
        tf.mul(tf.sub(1 - margin, distances), gamma),
      );
      const values = tf.softplus(tf.add(near, far));
      return { values, mask: tf.greater(values, 0) };
    },
  },
  ctc: {
    className: "CTC",
    kind: "any",
    targets: "sequences",
    create: () => (targets, output) => {
      const logits = activated(output) as tf.Tensor3D;
      const [samples, frames] = logits.shape;
      const lengths = Array.from(tf.sum(tf.cast(tf.notEqual(targets, 0), "int32"), -1).dataSync());
      return alignmentLoss(logits, {
        labels: targets.arraySync() as number[][],
        labelCounts: lengths,
        frameCounts: new Array<number>(samples).fill(frames),
        blank: 0,
      });
    },
  },
};

/** Null: all axes, the batch's too. */
function axesIn({ axis }: LossSettings, rank: number): number[] {
  if (axis === null || axis === undefined) return Array.from({ length: rank }, (_, index) => index);
  return axesOf((Array.isArray(axis) ? axis : [axis]) as number[], rank);
}

/** Stands for the logarithm of nothing where a difference must stay a number. */
const nothing = -1e30;

/** Returns the logarithm of the sum of what the pairs in `mask` weigh, `[N]`. */
function pull(mask: tf.Tensor, weights: tf.Tensor, distances: tf.Tensor): tf.Tensor {
  const scores = tf.mul(tf.relu(weights), distances);
  return tf.logSumExp(tf.where(mask, scores, tf.fill(scores.shape, nothing)), 1);
}
