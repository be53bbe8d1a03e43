/**
 * @file Decodes label sequences from frames of logits (`keras/src/backend/tensorflow/nn.py`, ctc_decode). It has no
 * gradient, as in TensorFlow.
 */
import { tf } from "../../engine/tf.ts";
import { isTrueAt, numberAt } from "../../topology/config-values.ts";
import type { KernelCall, KernelResult } from "../kernel.ts";
import { unsupported } from "../kernel.ts";
import { logSum } from "./ctc-loss.ts";
import { asFloat } from "./number-functions.ts";
import { requiredOperand } from "./operands.ts";

interface Path {
  readonly labels: readonly number[];
  readonly score: number;
}

type Frames = readonly (readonly number[])[];

/** Decodes logits `[N, T, classes]` to sequences `[paths, N, T]`, filled up with -1, and scores `[N, paths]`. */
export function decoded(call: KernelCall): KernelResult {
  const logits = asFloat(requiredOperand(call, 0, "inputs"));
  const counts = Array.from(requiredOperand(call, 1, "sequence_lengths").dataSync());
  const samples = (logits.arraySync() as number[][][]).map((frames, sample) =>
    frames.slice(0, counts[sample]),
  );
  const paths = samples.map((frames) =>
    call.config["strategy"] === "greedy" ? [likeliest(frames, call)] : searched(frames, call),
  );
  const [batch, steps] = logits.shape as [number, number];
  const count = call.config["strategy"] === "greedy" ? 1 : numberAt(call.config, "top_paths");
  const sequences = Array.from({ length: count }, (_, rank) =>
    paths.map((found) => Array.from({ length: steps }, (__, step) => found[rank]!.labels[step] ?? -1)),
  );
  return {
    outputs: [
      tf.tensor3d(sequences, [count, batch, steps], "int32"),
      tf.tensor2d(
        paths.map((found) => found.map(({ score }) => score)),
        [batch, count],
      ),
    ],
  };
}

/** Takes the largest logit of each frame. The score is the negative of their sum. */
function likeliest(frames: Frames, { config }: KernelCall): Path {
  const index = numberAt(config, "mask_index");
  const blank = index < 0 ? index + (frames[0]?.length ?? 0) : index;
  const best = frames.map((frame) => frame.indexOf(Math.max(...frame)));
  const merges = isTrueAt(config, "merge_repeated");
  const labels = best.filter(
    (label, time) => label !== blank && !(merges && time > 0 && label === best[time - 1]),
  );
  return { labels, score: -frames.reduce((sum, frame, time) => sum + frame[best[time]!]!, 0) };
}

/** Logarithms of the probability of a sequence, in total and by its last frame. */
interface Probability {
  readonly total: number;
  readonly blank: number;
  readonly label: number;
}

const nothing: Probability = {
  total: Number.NEGATIVE_INFINITY,
  blank: Number.NEGATIVE_INFINITY,
  label: Number.NEGATIVE_INFINITY,
};

/** A sequence, represented by its last label and its parent. Each sequence is one object, so that it is found again. */
interface Prefix {
  readonly parent: Prefix | undefined;
  readonly label: number;
  readonly children: Map<number, Prefix>;
  before: Probability;
  now: Probability;
}

function prefix(parent: Prefix | undefined, label: number): Prefix {
  return { parent, label, children: new Map(), before: nothing, now: nothing };
}

/** Finds the most probable sequences by beam search. */
function searched(frames: Frames, { config }: KernelCall): Path[] {
  const width = numberAt(config, "beam_width");
  const mask = config["mask_index"] === null ? undefined : numberAt(config, "mask_index");
  const root = prefix(undefined, -1);
  root.now = { total: 0, blank: 0, label: Number.NEGATIVE_INFINITY };
  const beam = frames.reduce(
    (before, frame) => stepped(before, logShares(blankLast(frame, mask)), width),
    [root],
  );
  const count = numberAt(config, "top_paths");
  if (beam.length < count)
    throw unsupported(
      `top_paths=${count}, with only ${beam.length} paths found,`,
      `Use a top_paths of at most ${beam.length}.`,
    );
  const first = mask === undefined ? Number.POSITIVE_INFINITY : mask < 0 ? mask + frames[0]!.length : mask;
  return beam.slice(0, count).map((last) => ({
    labels: labelsOf(last).map((label) => (label >= first ? label + 1 : label)),
    score: last.now.total,
  }));
}

/**
 * Moves the blank behind the other classes of a frame. Keras cuts it out by Python slices, also for negative indices.
 */
function blankLast(frame: readonly number[], mask: number | undefined): readonly number[] {
  if (mask === undefined) return frame;
  return [...frame.slice(0, mask), ...frame.slice(mask + 1), ...frame.slice(mask, mask + 1)];
}

function logShares(logits: readonly number[]): number[] {
  const total = logSum(logits);
  return logits.map((logit) => logit - total);
}

/** Returns the beam after one frame, most probable first. */
function stepped(beam: readonly Prefix[], shares: readonly number[], width: number): Prefix[] {
  const blank = shares.length - 1;
  for (const known of beam) known.before = known.now;
  const leaves: Prefix[] = [];
  const add = (leaf: Prefix): void => {
    const place = leaves.findIndex(({ now }) => now.total < leaf.now.total);
    leaves.splice(place === -1 ? leaves.length : place, 0, leaf);
  };
  for (const known of beam) {
    const { parent } = known;
    const repeated = logSum([
      known.before.label,
      parent && parent.now.total > Number.NEGATIVE_INFINITY ? source(parent, known.label) : undefined,
    ]);
    const label = parent ? repeated + shares[known.label]! : known.before.label;
    const ended = known.before.total + shares[blank]!;
    known.now = { label, blank: ended, total: logSum([label, ended]) };
  }
  for (const known of beam) add(known);
  const isCandidate = ({ total }: Probability): boolean =>
    total > Number.NEGATIVE_INFINITY && (leaves.length < width || total > leaves.at(-1)!.now.total);
  for (const known of beam) {
    if (!isCandidate(known.before)) continue;
    for (let label = 0; label < blank; label++) {
      const child = known.children.get(label) ?? prefix(known, label);
      known.children.set(label, child);
      if (child.now.total > Number.NEGATIVE_INFINITY) continue;
      const share = source(known, label) + shares[label]!;
      const grown = { total: share, blank: Number.NEGATIVE_INFINITY, label: share };
      child.before = nothing;
      if (!isCandidate(grown)) continue;
      if (leaves.length === width) leaves.pop()!.now = nothing;
      child.now = grown;
      add(child);
    }
  }
  return leaves;
}

/**
 * Returns the probability from which a sequence is extended by a label. Repeating the last label requires a blank in
 * between.
 */
function source(before: Prefix, label: number): number {
  return before.label === label ? before.before.blank : before.before.total;
}

function labelsOf(last: Prefix): number[] {
  return last.parent ? [...labelsOf(last.parent), last.label] : [];
}
