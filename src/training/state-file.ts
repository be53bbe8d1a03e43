import { closeSync, fstatSync, openSync, readFileSync, readSync, writeSync } from "node:fs";
import type { Weight, Weights } from "../checkpoint.ts";
import { KerasFileError } from "../errors.ts";
import { replaceFile } from "../formats/atomic-file.ts";
import type { Tensor } from "../tensor.ts";
import { elementCount, float32Tensor } from "../tensor.ts";
import type { Callback, TrainingRun } from "./callbacks/callback.ts";
import type { TrainingCounts, TrainingState } from "./state.ts";

/** A training state with what it belongs to. */
export interface SavedState {
  /** Hashes and names that a run which goes on must have too. */
  readonly belongsTo: Readonly<Record<string, string>>;
  readonly state: TrainingState;
}

const magic = "keras-finetune state 1\n";
type Packed = readonly (readonly [
  path: string,
  layer: readonly (readonly [name: string, tensor: Tensor])[],
])[];

/**
 * Writes a state whole or not at all: a line that names the format, the length of a JSON text, the text, and the float32 values of all
 * tensors in the order in which the text counts them.
 * @throws {MachineError | KerasFileError} where the disk refuses.
 */
export async function writeState(path: string, { belongsTo, state }: SavedState): Promise<void> {
  const tensors: Float32Array[] = [];
  const weights: Packed = [...state.weights].map(([layer, own]) => [
    layer,
    own.map(({ name, ...tensor }) => [name, tensor] as const),
  ]);
  const text = JSON.stringify({ belongsTo, state: { ...state, weights } }, (_key, value: unknown) => {
    if (!isTensor(value)) return value;
    tensors.push(value.data as Float32Array);
    return { $tensor: tensors.length - 1, shape: value.shape };
  });
  const header = Buffer.from(text);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  await replaceFile(path, async (file) => {
    for (const part of [Buffer.from(magic), length, header]) writeAll(file, part);
    for (const { buffer, byteOffset, byteLength } of tensors) {
      writeAll(file, new Uint8Array(buffer, byteOffset, byteLength));
    }
  });
}

/** Reads what `writeState` wrote. @throws {KerasFileError} for any other file. */
export function readState(path: string): SavedState {
  const bytes = readFileSync(path);
  const start = Buffer.byteLength(magic);
  const refuse = (): never => {
    throw new KerasFileError(
      `${path}: state: expected a whole training state, got another file.`,
      "state-file",
    );
  };
  if (bytes.length < start + 8 || bytes.toString("latin1", 0, start) !== magic) refuse();
  const length = Number(bytes.readBigUInt64LE(start));
  let at = start + 8 + length;
  if (at > bytes.length) refuse();
  const saved = JSON.parse(bytes.toString("utf8", start + 8, at), (_key, value: unknown) => {
    if (typeof value !== "object" || value === null || !("$tensor" in value)) return value;
    const { shape } = value as unknown as { readonly shape: readonly number[] };
    const size = 4 * elementCount(shape);
    if (at + size > bytes.length) refuse();
    const copy = bytes.buffer.slice(bytes.byteOffset + at, bytes.byteOffset + at + size);
    at += size;
    return float32Tensor(new Float32Array(copy as ArrayBuffer), shape);
  }) as { belongsTo: SavedState["belongsTo"]; state: Omit<TrainingState, "weights"> & { weights: Packed } };
  const weights: Weights = new Map(
    saved.state.weights.map(([layer, own]) => [
      layer,
      own.map(([name, tensor]): Weight => ({ ...tensor, name })),
    ]),
  );
  return { belongsTo: saved.belongsTo, state: { ...saved.state, weights } };
}

/**
 * Returns the counts of the state in a file that `writeState` wrote, without reading its tensors; null for any other file, which
 * `readState` refuses.
 */
export function readCounts(path: string): TrainingCounts | null {
  const file = openSync(path, "r");
  try {
    const start = Buffer.byteLength(magic);
    const opening = readBytes(file, 0, start + 8);
    if (opening.length < start + 8 || opening.toString("latin1", 0, start) !== magic) return null;
    const length = Number(opening.readBigUInt64LE(start));
    if (length > fstatSync(file).size) return null;
    const { state } = JSON.parse(readBytes(file, start + 8, length).toString("utf8")) as {
      state: Pick<TrainingState, "counts">;
    };
    return state.counts;
  } finally {
    closeSync(file);
  }
}

/** Returns the bytes at a place of a file, fewer where it ends before. */
function readBytes(file: number, at: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let done = 0;
  while (done < length) {
    const read = readSync(file, bytes, done, length - done, at + done);
    if (read === 0) break;
    done += read;
  }
  return bytes.subarray(0, done);
}

function isTensor(value: unknown): value is Tensor {
  return typeof value === "object" && value !== null && "data" in value && value.data instanceof Float32Array;
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
}

/** Saves the state of the run after every `every` epochs, and at its end. Stands last in the list. */
export function stateSaver(every: number, save: (state: TrainingState) => Promise<void>): Callback {
  let saved = 0;
  const keep = async (run: TrainingRun): Promise<void> => {
    await save(run.state());
    saved = run.history.length;
  };
  let isBetween = true;
  return {
    name: "state-saver",
    stepEnd: () => {
      isBetween = false;
    },
    epochEnd: async ({ epoch }, run) => {
      isBetween = true;
      if (epoch % every === 0) await keep(run);
    },
    end: async (run) => {
      if (isBetween && run.history.length > saved) await keep(run).catch(() => {});
    },
  };
}
