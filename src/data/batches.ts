import { DataError } from "../errors.ts";
import { formatShape, type InputTensor, sameShape } from "../tensor.ts";
import { checkBatch } from "./arrays.ts";
import type { Batch, BatchDataset, Dataset } from "./dataset.ts";
import { isOneTensor } from "./dataset.ts";

/**
 * Batches in the order in which they are trained on. A function is called at the start of each epoch; a generator gives its batches
 * once, so that it serves one epoch alone.
 */
export type BatchSource =
  | AsyncIterable<Batch>
  | Iterable<Batch>
  | (() => AsyncIterable<Batch> | Iterable<Batch>);

export interface BatchDatasetOptions {
  /** Held-out batches, read after each epoch. */
  readonly validation?: BatchSource | undefined;
  /** Class names in output order. */
  readonly classNames?: readonly string[] | undefined;
}

/** Returns whether a value gives batches. */
export function isBatchSource(value: unknown): value is BatchSource {
  if (typeof value === "function") return true;
  if (typeof value !== "object" || value === null) return false;
  return Symbol.asyncIterator in value || (Symbol.iterator in value && !ArrayBuffer.isView(value));
}

/**
 * Makes a dataset of batches that are made while they are read, so that it may be larger than memory. Each iteration is one epoch:
 * pass a function that starts anew, or an object whose iterator does.
 *
 * Every batch is checked as it comes: equally many samples in its arrays, whole tensors, and the shapes of the first batch.
 *
 * @throws {DataError} while it is read: for such a batch, for none at all, and for a generator that is exhausted.
 *
 * @example
 * const data = batchDataset(() => readBatches("measurements.bin"));
 */
export function batchDataset(source: BatchSource, options: BatchDatasetOptions = {}): BatchDataset {
  const { validation, classNames } = options;
  const epochs = epochsOf(source, "data");
  return {
    kind: "batches",
    [Symbol.asyncIterator]: epochs,
    ...(validation && { validation: { [Symbol.asyncIterator]: epochsOf(validation, "validation") } }),
    ...(classNames && { classNames }),
  };
}

/** Returns the dataset itself, or batches from an iterable of the caller's own, which no function of this package has made. */
export function knownDataset(dataset: Dataset): Dataset {
  const isBare = (dataset.kind as string | undefined) === undefined && isBatchSource(dataset);
  return isBare ? batchDataset(dataset) : dataset;
}

/** Returns a function that starts an epoch. */
function epochsOf(source: BatchSource, what: string): () => AsyncGenerator<Batch, void, void> {
  let epoch = 0;
  let first: Batch | undefined;
  return async function* () {
    epoch++;
    const batches = typeof source === "function" ? source() : source;
    if (epoch > 1 && isSpent(source)) throw exhausted(what, epoch);
    let count = 0;
    for await (const batch of batches) {
      const name = `${what}: batch ${++count}: `;
      checkBatch(batch, name);
      first ??= batch;
      if (batch !== first) checkLike(batch, first, name);
      yield batch;
    }
    if (count > 0) return;
    if (epoch > 1) throw exhausted(what, epoch);
    throw new DataError(`${what}: expected batches, got none.`, "no-batches");
  };
}

/** A generator is its own iterator: it does not begin again. */
function isSpent(source: BatchSource): boolean {
  if (typeof source === "function") return false;
  const iterator: unknown =
    Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
  return iterator === source;
}

function exhausted(what: string, epoch: number): DataError {
  return new DataError(
    `${what}: expected batches for pass ${epoch}, got a generator that has given all of them. Pass a function that returns a new one.`,
    "batches-exhausted",
  );
}

function checkLike(batch: Batch, first: Batch, what: string): void {
  for (const kind of ["inputs", "targets"] as const) {
    const [given, wanted] = [tensorsOf(batch[kind]), tensorsOf(first[kind])];
    if (given.length !== wanted.length) {
      throw new DataError(
        `${what}${kind}: expected ${wanted.length} arrays as in the first batch, got ${given.length}.`,
        kind,
      );
    }
    for (const [name, tensor] of given) {
      const like = wanted.find(([other]) => other === name)?.[1];
      const [own, other] = [tensor.shape.slice(1), like?.shape.slice(1)];
      if (other && sameShape(own, other)) continue;
      const expected = other ? formatShape([null, ...other]) : wanted.map(([known]) => known).join(", ");
      const got = other ? formatShape(tensor.shape) : name;
      throw new DataError(`${what}${kind}: expected ${expected} as in the first batch, got ${got}.`, kind);
    }
  }
}

function tensorsOf(tensors: Batch["inputs"]): readonly (readonly [string, InputTensor])[] {
  if (isOneTensor(tensors)) return [["", tensors]];
  return Object.entries(tensors as Readonly<Record<string, InputTensor>>);
}
