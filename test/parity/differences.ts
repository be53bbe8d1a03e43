import type { Checkpoint, Weights } from "../../src/checkpoint.ts";
import type { Tensor } from "../../src/tensor.ts";

/** Weights as Keras tells them. */
export type KerasWeights = Readonly<Record<string, readonly { name: string; value: Tensor }[]>>;

/** The largest |value|. */
export function magnitude({ data }: Tensor): number {
  return (data as Float32Array).reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
}

/** The largest |a - b|; NaN where either has one. */
export function difference(a: Tensor, b: Tensor): number {
  if (a.shape.join() !== b.shape.join()) {
    throw new Error(`tensors of the shapes ${a.shape.join()} and ${b.shape.join()}`);
  }
  const other = b.data as Float32Array;
  let largest = 0;
  (a.data as Float32Array).forEach((value, index) => {
    const apart = Math.abs(value - other[index]!);
    if (!(apart <= largest)) largest = apart;
  });
  return largest;
}

/** The length of a - b. */
export function norm(a: Tensor, b: Tensor): number {
  const other = b.data as Float32Array;
  const squares = (a.data as Float32Array).reduce(
    (sum, value, index) => sum + (value - other[index]!) ** 2,
    0,
  );
  return Math.sqrt(squares);
}

/** The largest difference of two tensors by the largest value of the second. */
export function relativeDifference(a: Tensor, b: Tensor): number {
  return difference(a, b) / magnitude(b);
}

/** A weight of Keras's and its place among those of its layer. */
export interface KerasWeight {
  readonly path: string;
  /** Its own name, which a layer's layers may share. */
  readonly name: string;
  readonly place: number;
  readonly value: Tensor;
}

/** Our weight in the same place. */
export function counterpart(weights: Weights, { path, name, place }: KerasWeight): Tensor {
  const found = weights.get(path)?.[place];
  if (found?.name.split("/").at(-1) !== name) throw new Error(`no weight ${path}/${name} in place ${place}`);
  return found;
}

/** Weights of `expected` whose bits are not the checkpoint's. */
export function unequalWeights({ weights }: Checkpoint, expected: KerasWeights): string[] {
  return entriesOf(expected).flatMap((entry) =>
    difference(counterpart(weights, entry), entry.value) === 0 ? [] : [`${entry.path}/${entry.name}`],
  );
}

/** One line a weight. */
export function entriesOf(weights: KerasWeights): KerasWeight[] {
  return Object.entries(weights).flatMap(([path, layer]) =>
    layer.map(({ name, value }, place) => ({ path, name, place, value })),
  );
}
