/** Batches that are larger than memory, kept in files for a run: their inputs on disk, their targets in memory. */
import { createHash, type Hash } from "node:crypto";
import { closeSync } from "node:fs";
import { DataError } from "../errors.ts";
import type { InputTensor, StringTensor, Tensor, TensorData } from "../tensor.ts";
import { elementCount } from "../tensor.ts";
import { sampleCount } from "./arrays.ts";
import type { ArrayDataset, Batch, BatchDataset, ModelInputs } from "./dataset.ts";
import { isOneTensor } from "./dataset.ts";
import { openUnnamed, readAt, writeAt } from "./unnamed-file.ts";

/** The inputs of all samples, which are read from files. */
export interface StoredInputs {
  readonly count: number;
  /** The sha256 of all inputs. */
  readonly sha256: string;
  /** Returns the inputs of rows `from` to `to` (exclusive), as the batches gave them. */
  read(from: number, to: number): ModelInputs;
  close(): void;
}

/** All samples of a pass: `inputs` are those of the first batch, the targets are whole. */
export interface SpooledBatch extends Batch {
  readonly stored: StoredInputs;
}

/** Arrays whose inputs lie in files. */
export interface SpooledDataset extends ArrayDataset, SpooledBatch {
  readonly validation?: SpooledBatch;
}

/** Returns whether the inputs lie in files. */
export function isSpooled<T extends Batch>(batch: T): batch is T & SpooledBatch {
  return "stored" in batch;
}

/** Returns the number of samples of arrays, whose inputs may lie in files. */
export function batchSamples(batch: Batch): number {
  return isSpooled(batch) ? batch.stored.count : sampleCount(batch.inputs);
}

/**
 * Reads a dataset of batches once and keeps it for a run: inputs in files in `folder` that have no name and so vanish with the process,
 * in memory where the system has no such files; targets and weights in memory.
 * @throws {DataError} for batches of which only some have sample weights.
 */
export async function spoolBatches(dataset: BatchDataset, folder: string): Promise<SpooledDataset> {
  const train = await spool(dataset, folder, "data");
  const { validation: source, classNames } = dataset;
  const validation = source && (await spool(source, folder, "validation"));
  return { kind: "arrays", ...train, ...(validation && { validation }), ...(classNames && { classNames }) };
}

async function spool(source: AsyncIterable<Batch>, folder: string, what: string): Promise<SpooledBatch> {
  let first: Batch | undefined;
  let columns: readonly Column[] = [];
  let count = 0;
  const targets: Batch["targets"][] = [];
  const weights: Batch["sampleWeights"][] = [];
  for await (const batch of source) {
    const tensors = tensorsOf(batch.inputs);
    first ??= batch;
    if (columns.length === 0) columns = tensors.map((tensor) => columnFor(tensor, folder));
    for (const [index, tensor] of tensors.entries()) columns[index]?.append(tensor);
    count += tensors[0]?.shape[0] ?? 0;
    targets.push(batch.targets);
    weights.push(batch.sampleWeights);
  }
  if (!first) throw new DataError(`${what}: expected batches, got none.`, "no-batches");
  const given = weights.flatMap((each) => each ?? []);
  if (given.length > 0 && given.length < weights.length) {
    throw new DataError(
      `${what}: expected sample weights in every batch or in none, got them in ${given.length} of ${weights.length}.`,
      "sample-weights",
    );
  }
  const { inputs } = first;
  const hash = createHash("sha256");
  for (const column of columns) hash.update(column.digest());
  return {
    inputs,
    targets: joined(targets),
    ...(given.length > 0 && { sampleWeights: joined(given) }),
    stored: {
      count,
      sha256: hash.digest("hex"),
      read: (from, to) =>
        likeInputs(
          inputs,
          columns.map((column) => column.read(from, to)),
        ),
      close: () => {
        for (const column of columns) column.close();
      },
    },
  };
}

function tensorsOf(inputs: ModelInputs): readonly InputTensor[] {
  return isOneTensor(inputs) ? [inputs] : Object.values(inputs as Readonly<Record<string, InputTensor>>);
}

function likeInputs(inputs: ModelInputs, tensors: readonly InputTensor[]): ModelInputs {
  const [only] = tensors;
  if (isOneTensor(inputs)) return only as InputTensor;
  if (Array.isArray(inputs)) return tensors;
  return Object.fromEntries(Object.keys(inputs).map((name, index) => [name, tensors[index] as InputTensor]));
}

/** Joins what each batch gives: one tensor, a list, or a record. */
function joined<T extends Batch["targets"]>(parts: readonly T[]): T {
  const [first] = parts;
  if (first === undefined) throw new Error("no batches");
  if (isOneTensor(first)) return joinedTensors(parts as unknown as readonly Tensor[]) as T;
  const names = Object.keys(first);
  const tensors = names.map((name) =>
    joinedTensors(parts.flatMap((part) => (part as Readonly<Record<string, Tensor>>)[name] ?? [])),
  );
  return (
    Array.isArray(first) ? tensors : Object.fromEntries(names.map((name, index) => [name, tensors[index]]))
  ) as T;
}

function joinedTensors(parts: readonly Tensor[]): Tensor {
  const [first] = parts;
  if (!first) throw new Error("no tensors");
  const count = parts.reduce((sum, { shape }) => sum + (shape[0] ?? 0), 0);
  const Values = first.data.constructor as new (length: number) => TensorData;
  const data = new Values(parts.reduce((sum, part) => sum + part.data.length, 0));
  let at = 0;
  for (const part of parts) {
    data.set(part.data as never, at);
    at += part.data.length;
  }
  return { dtype: first.dtype, shape: [count, ...first.shape.slice(1)], data };
}

/** One input of all samples. */
interface Column {
  append(tensor: InputTensor): void;
  read(from: number, to: number): InputTensor;
  digest(): string;
  close(): void;
}

function columnFor(first: InputTensor, folder: string): Column {
  return first.dtype === "string" ? textColumn(first) : numberColumn(first, folder);
}

/** Texts stay in memory. */
function textColumn({ shape: [, ...rowShape] }: StringTensor): Column {
  const size = elementCount(rowShape);
  const texts: string[] = [];
  return {
    append: ({ data }) => {
      for (const text of data as readonly string[]) texts.push(text);
    },
    read: (from, to) => ({
      dtype: "string",
      shape: [to - from, ...rowShape],
      data: texts.slice(from * size, to * size),
    }),
    digest: () => createHash("sha256").update(JSON.stringify(texts)).digest("hex"),
    close: () => {},
  };
}

function numberColumn({ dtype, shape: [, ...rowShape], data: sample }: Tensor, folder: string): Column {
  const size = elementCount(rowShape);
  const Values = sample.constructor as new (length: number) => TensorData;
  const hash: Hash = createHash("sha256").update(JSON.stringify([dtype, rowShape]));
  const storage = fileStorage(folder) ?? memoryStorage();
  return {
    append: (tensor) => {
      if (tensor.dtype !== dtype)
        throw new DataError(
          `inputs: expected ${dtype} as in the first batch, got ${tensor.dtype}.`,
          "inputs",
        );
      const bytes = bytesOf((tensor as Tensor).data);
      hash.update(bytes);
      storage.append(bytes);
    },
    read: (from, to) => {
      const data = new Values((to - from) * size);
      storage.readInto(bytesOf(data), from * size * data.BYTES_PER_ELEMENT);
      return { dtype, shape: [to - from, ...rowShape], data };
    },
    digest: () => hash.copy().digest("hex"),
    close: storage.close,
  };
}

interface ByteStorage {
  append(bytes: Uint8Array): void;
  readInto(target: Uint8Array, offset: number): void;
  close(): void;
}

/** Closes the files of a run that never began. */
const left = new FinalizationRegistry<number>((file) => closeSync(file));

/** Returns storage in a file without a name; undefined if there is none such, or no room for a first byte. */
function fileStorage(folder: string): ByteStorage | undefined {
  const file = openUnnamed(folder, "inputs");
  if (file === undefined) return undefined;
  let [end, isOpen] = [0, true];
  const storage: ByteStorage = {
    append: (bytes) => {
      writeAt(file, bytes, end);
      end += bytes.length;
    },
    readInto: (target, offset) => readAt(file, target, offset),
    close: () => {
      if (!isOpen) return;
      isOpen = false;
      left.unregister(storage);
      closeSync(file);
    },
  };
  left.register(storage, file, storage);
  return storage;
}

function memoryStorage(): ByteStorage {
  let all = Buffer.alloc(0);
  let parts: Uint8Array[] = [];
  return {
    append: (bytes) => parts.push(Buffer.from(bytes)),
    readInto: (target, offset) => {
      if (parts.length > 0) [all, parts] = [Buffer.concat([all, ...parts]), []];
      target.set(all.subarray(offset, offset + target.length));
    },
    close: () => {},
  };
}

function bytesOf({ buffer, byteOffset, byteLength }: TensorData): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
