import { readFileSync, writeSync } from "node:fs";
import { crc32 } from "node:zlib";
import type { Weight, Weights } from "../checkpoint.ts";
import { KerasFileError } from "../errors.ts";
import { replaceFile } from "../formats/atomic-file.ts";
import { isTensor } from "../lazy-tensor.ts";
import type { Tensor } from "../tensor.ts";
import { elementCount, float32Tensor } from "../tensor.ts";
import type { Callback, TrainingRun } from "./callbacks/callback.ts";
import type { TrainingState } from "./state.ts";

/** A training state with what it belongs to. */
export interface SavedState {
  /** Hashes and names that a run which goes on must have too. */
  readonly belongsTo: Readonly<Record<string, string>>;
  readonly state: TrainingState;
}

const magic = "keras-finetune state 2\n";
/** Bytes of the checksum of all that stands before it. */
const checksumBytes = 4;
type Packed = readonly (readonly [
  path: string,
  layer: readonly (readonly [name: string, tensor: Tensor])[],
])[];

/**
 * Writes a state whole or not at all: a line that names the format, the length of a JSON text, the text, and the float32 values of all
 * tensors in the order in which the text counts them; last the CRC-32 of all of it.
 * @throws {MachineError | KerasFileError} where the disk refuses.
 */
export async function writeState(path: string, { belongsTo, state }: SavedState): Promise<void> {
  const tensors: Tensor[] = [];
  const weights: Packed = [...state.weights].map(([layer, own]) => [
    layer,
    own.map((weight) => [weight.name, weight] as const),
  ]);
  const text = JSON.stringify({ belongsTo, state: { ...state, weights } }, (_key, value: unknown) => {
    if (!isTensor(value)) return value;
    tensors.push(value);
    return { $tensor: tensors.length - 1, shape: value.shape };
  });
  const header = Buffer.from(text);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  await replaceFile(path, async (file) => {
    let sum = 0;
    const write = (part: Uint8Array): void => {
      sum = crc32(part, sum);
      writeAll(file, part);
    };
    for (const part of [Buffer.from(magic), length, header]) write(part);
    // One after the other: the values of a tensor that reads them when asked need no memory before and after.
    for (const tensor of tensors) {
      const { buffer, byteOffset, byteLength } = tensor.data;
      write(new Uint8Array(buffer, byteOffset, byteLength));
    }
    const checksum = Buffer.alloc(checksumBytes);
    checksum.writeUInt32LE(sum);
    writeAll(file, checksum);
  });
}

/** Reads what `writeState` wrote. @throws {KerasFileError} for any other file, and for one that has changed since. */
export function readState(path: string): SavedState {
  const whole = readFileSync(path);
  const bytes = whole.subarray(0, Math.max(0, whole.length - checksumBytes));
  const start = Buffer.byteLength(magic);
  const refuse = (): never => {
    throw new KerasFileError(
      `${path}: state: expected a whole training state, got a damaged one or another file.`,
      "state-file",
    );
  };
  if (bytes.length < start + 8 || bytes.toString("latin1", 0, start) !== magic) refuse();
  if (crc32(bytes) !== whole.readUInt32LE(bytes.length)) refuse();
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

function writeAll(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
}

/** Saves the state of the run after every `every` epochs, and at its end. Stands last in the list. */
export function stateSaver(every: number, save: (state: TrainingState) => Promise<void>): Callback {
  let saved = 0;
  const keep = async (run: TrainingRun): Promise<void> => {
    await save(run.state({ copied: false }));
    saved = run.history.length;
  };
  let isBetween = true;
  return {
    name: "state-saver",
    readsLossAlone: true,
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
