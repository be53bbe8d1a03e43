/**
 * @file Connectionist temporal classification (Graves and others, 2006), computed like TensorFlow's `ctc_loss` of dense
 * labels.
 */
import { tf } from "../../engine/tf.ts";
import { numberAt } from "../../topology/config-values.ts";
import type { KernelCall } from "../kernel.ts";
import { asFloat } from "./number-functions.ts";
import { requiredOperand } from "./operands.ts";

/** TensorFlow's logarithm of zero, for a sequence that ends too early. */
const never = Math.log(1e-307);

/** Labels that logits are aligned with, with how many labels and frames of each sample count. */
export interface Alignment {
  /** `[N, L]` */
  readonly labels: readonly (readonly number[])[];
  readonly labelCounts: readonly number[];
  readonly frameCounts: readonly number[];
  /** Class that stands for no label. */
  readonly blank: number;
}

/** Returns the loss of each sample, `[N]`, of an `ops.CTCLoss`. */
export function temporalLoss(call: KernelCall): tf.Tensor {
  const logits = asFloat(requiredOperand(call, 1, "output")) as tf.Tensor3D;
  const index = numberAt(call.config, "mask_index");
  return alignmentLoss(logits, {
    labels: requiredOperand(call, 0, "target").arraySync() as number[][],
    labelCounts: Array.from(requiredOperand(call, 2, "target_length").dataSync()),
    frameCounts: Array.from(requiredOperand(call, 3, "output_length").dataSync()),
    blank: index < 0 ? index + logits.shape[2] : index,
  });
}

/** Returns the loss of each sample, `[N]`, of logits `[N, T, classes]`. */
export function alignmentLoss(
  given: tf.Tensor3D,
  { labels, labelCounts, frameCounts, blank }: Alignment,
): tf.Tensor {
  const compute = tf.customGrad((value, save) => {
    const logits = value as tf.Tensor3D;
    const logarithms = tf.logSoftmax(logits).arraySync() as number[][][];
    const found = logarithms.map((frames, sample) =>
      aligned(
        frames.slice(0, frameCounts[sample]),
        (labels[sample] ?? []).slice(0, labelCounts[sample]),
        blank,
      ),
    );
    const empty = new Array<number>(logits.shape[2]).fill(0);
    const gradients = logarithms.map((frames, sample) =>
      frames.map((_, time) => found[sample]?.gradient[time] ?? empty),
    );
    (save as tf.GradSaveFunc)([tf.tensor(Float32Array.from(gradients.flat(2)), logits.shape)]);
    return {
      value: tf.tensor1d(found.map(({ loss }) => loss)),
      gradFunc: (dy: tf.Tensor, [saved]: tf.Tensor[]) => tf.mul(saved!, tf.reshape(dy, [-1, 1, 1])),
    };
  });
  return compute(given);
}

interface Aligned {
  readonly loss: number;
  /** Gradient of the logits by frame and class. */
  readonly gradient: readonly (readonly number[])[];
}

/** Computes the loss over all alignments of the labels, with blanks between them, to frames of log probabilities. */
function aligned(frames: readonly (readonly number[])[], labels: readonly number[], blank: number): Aligned {
  const states = [blank, ...labels.flatMap((label) => [label, blank])];
  const ends = states.map((_, state) => (state >= states.length - 2 ? 0 : never));
  if (frames.length === 0) return { loss: labels.length === 0 ? 0 : -never, gradient: [] };
  const skips = states.map((label, state) => state > 1 && label !== blank && label !== states[state - 2]);
  const forward = walked(frames, states, (before, state) =>
    before === undefined
      ? state < 2
        ? [0]
        : []
      : [before[state]!, before[state - 1], skips[state] ? before[state - 2] : undefined],
  );
  const backward = walked([...frames].reverse(), states, (after, state) =>
    after === undefined
      ? [ends[state]!]
      : [after[state]!, after[state + 1], skips[state + 2] ? after[state + 2] : undefined],
  ).reverse();
  const total = logSum(forward.at(-1)!.map((value, state) => value + ends[state]!));
  const gradient = frames.map((logarithms, time) => {
    const shares = logarithms.map(Math.exp);
    states.forEach((label, state) => {
      const both = forward[time]![state]! + backward[time]![state]! - logarithms[label]! - total;
      if (both > Number.NEGATIVE_INFINITY) shares[label]! -= Math.exp(both);
    });
    return shares;
  });
  return { loss: -total, gradient };
}

/** Computes the log probability of each state at each frame from the states that may precede it. */
function walked(
  frames: readonly (readonly number[])[],
  states: readonly number[],
  sources: (before: readonly number[] | undefined, state: number) => readonly (number | undefined)[],
): number[][] {
  const rows: number[][] = [];
  for (const frame of frames) {
    const before = rows.at(-1);
    rows.push(states.map((label, state) => logSum(sources(before, state)) + frame[label]!));
  }
  return rows;
}

/** Computes the logarithm of a sum from the logarithms of its terms. Undefined terms are left out. */
export function logSum(terms: readonly (number | undefined)[]): number {
  const present = terms.filter((term) => term !== undefined && term > Number.NEGATIVE_INFINITY) as number[];
  if (present.length === 0) return Number.NEGATIVE_INFINITY;
  const largest = Math.max(...present);
  return largest + Math.log(present.reduce((sum, term) => sum + Math.exp(term - largest), 0));
}
