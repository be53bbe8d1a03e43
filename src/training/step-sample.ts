/** @file The numbers of a step by which two ways of computing it are compared. */
import type { tf } from "../engine/tf.ts";
import type { ComputedStep } from "./computed-step.ts";

/** Values of one tensor. */
interface Sample {
  /** All values of a small tensor, evenly spaced ones of a large one. */
  readonly values: ArrayLike<number>;
  /** The largest size among all values that are finite. */
  readonly largest: number;
  /** The number of values that are NaN or infinite. */
  readonly strange: number;
}

/** Tensors whose values are of one size. */
type Group = readonly Sample[];

/** A step's numbers off the engine, a part of them where a tensor is large. */
export interface StepSample {
  readonly forward: readonly Group[];
  readonly backward: readonly Group[];
  /** The rows of lookup tables that the addends of gradients belong to. */
  readonly rows: readonly Group[];
}

/** Values that are kept of a tensor at most. */
const mostValues = 2 ** 16;

/**
 * The differences that are allowed, as part of the largest value. Sums in another order differ by a few millionths; a gradient changes
 * by more where such a sum is 0 but for rounding and enters a ReLU. Whatever is computed otherwise is far above, so that it does not
 * depend on the batch whether two ways of computing a step agree.
 */
const [allowedForward, allowedBackward] = [1e-4, 1e-3];
/** A layer's gradients that are below this part of the largest of all are nothing but rounding, all of them. */
const noise = 1e-4;

/**
 * Returns the numbers of a step, those of an output, and the statistics and the gradients of a layer, together. A single tensor's
 * largest value would not do: the gradient of a bias that a normalization takes away again is nothing but rounding.
 */
export function stepSample({ parts, state, gradients }: ComputedStep): StepSample {
  const outputs = parts.flatMap(({ value, seen }) => [value, seen?.outputs, seen?.mask, seen?.logits]);
  const byPath = new Map<string, Sample[]>();
  for (const { path, gradient, addends } of gradients) {
    const own = [...(byPath.get(path) ?? []), sampled(gradient)];
    byPath.set(path, addends ? [...own, sampled(addends.values)] : own);
  }
  return {
    forward: [
      ...outputs.flatMap((tensor) => (tensor ? [[sampled(tensor)]] : [])),
      ...[...state.values()].map((own) => Object.values(own).map(sampled)),
    ],
    backward: [...byPath.values()],
    rows: gradients.flatMap(({ addends }) => (addends ? [[sampled(addends.rows)]] : [])),
  };
}

/**
 * Returns true if two steps of the same form have the same numbers: none differs by more than a small part of the largest of its output
 * or layer, and NaN and infinity stand at the same places.
 */
export function agree(one: StepSample, other: StepSample): boolean {
  return (
    areAllClose(one.forward, other.forward, { tolerance: allowedForward, least: 0 }) &&
    areAllClose(one.backward, other.backward, { tolerance: allowedBackward, least: noise }) &&
    areAllClose(one.rows, other.rows, { tolerance: 0, least: 0 })
  );
}

interface Closeness {
  /** The difference that is allowed, as part of a group's largest value. */
  readonly tolerance: number;
  /** The part of the largest value of all groups that counts as a group's largest at least. */
  readonly least: number;
}

function areAllClose(
  some: readonly Group[],
  others: readonly Group[],
  { tolerance, least }: Closeness,
): boolean {
  const sizes = some.map((group) => Math.max(0, ...group.map(({ largest }) => largest)));
  const floor = least * Math.max(0, ...sizes);
  return some.every((group, index) => {
    const allowed = tolerance * Math.max(floor, sizes[index] ?? 0);
    return group.every((sample, position) => {
      const beside = others[index]?.[position];
      return beside !== undefined && areClose(sample, beside, allowed);
    });
  });
}

function areClose(one: Sample, other: Sample, allowed: number): boolean {
  if (one.values.length !== other.values.length || one.strange !== other.strange) return false;
  for (let index = 0; index < one.values.length; index++) {
    const [a, b] = [Number(one.values[index]), Number(other.values[index])];
    if (a === b || (Number.isNaN(a) && Number.isNaN(b))) continue;
    // False for NaN and infinity too.
    if (!(Math.abs(a - b) <= allowed)) return false;
  }
  return true;
}

function sampled(tensor: tf.Tensor): Sample {
  const all = tensor.dataSync();
  let [largest, strange] = [0, 0];
  for (const value of all) {
    const size = Math.abs(value);
    if (!(size < Number.POSITIVE_INFINITY)) strange++;
    else if (size > largest) largest = size;
  }
  // An odd spacing, so that not all are of the same channel.
  const spacing = Math.floor(all.length / mostValues) | 1;
  const count = all.length <= mostValues ? all.length : Math.ceil(all.length / spacing);
  const values = Float32Array.from({ length: count }, (_, index) => all[index * spacing] ?? Number.NaN);
  return { values, largest, strange };
}
