import { closeSync } from "node:fs";
import { openUnnamed, readAt, writeAt } from "../data/unnamed-file.ts";
import { rowMemoryBytes } from "../freeze/kept-rows.ts";
import type { Tensor } from "../tensor.ts";
import { elementCount, float32Tensor, gatheredRows } from "../tensor.ts";

/** One float32 tensor of every sample, a row each. */
export interface SampleRows {
  /** Shape of one row, without the sample axis. */
  readonly rowShape: readonly number[];
  readonly count: number;
  readonly byteLength: number;
  /** Returns `[rows.length, …rowShape]`, new and the caller's. */
  pick(rows: ArrayLike<number>): Tensor | Promise<Tensor>;
}

export interface WritableRows extends SampleRows {
  /** Copies the values of one row. */
  set(row: number, values: Float32Array): void;
  dispose(): void;
}

/** Storage for the values of all rows. */
interface RowStorage {
  /** @throws the file system's error. */
  write(row: number, values: Float32Array): void;
  readInto(row: number, target: Float32Array): void;
  close(): void;
}

/** Returns the rows of a `[N, …]` tensor, which is shared. */
export function tensorRows({ shape, data }: Tensor): SampleRows {
  const [count = 0, ...rowShape] = shape;
  const size = elementCount(rowShape);
  return {
    rowShape,
    count,
    byteLength: data.byteLength,
    pick: (rows) => float32Tensor(gatheredRows(data as Float32Array, size, rows), [rows.length, ...rowShape]),
  };
}

/**
 * Makes room for `count` rows, zeros at first. Many of them are kept in a file in `folder` that has no name and so vanishes with the
 * process; in memory where there is no folder, or the file cannot be made or grow.
 */
export function writableRows(
  rowShape: readonly number[],
  count: number,
  folder: string | undefined,
): WritableRows {
  const size = elementCount(rowShape);
  const byteLength = 4 * size * count;
  const inMemory = (): RowStorage => memoryStorage(new Float32Array(size * count), size);
  let storage = (byteLength > rowMemoryBytes && folder && fileStorage(folder, size)) || inMemory();
  const written = new Uint8Array(count);
  return {
    rowShape,
    count,
    byteLength,
    pick: picker(rowShape, () => storage),
    set: (row, values) => {
      try {
        storage.write(row, values);
      } catch {
        const file = storage;
        storage = inMemory();
        copyRows(file, storage, written, size);
        file.close();
        storage.write(row, values);
      }
      written[row] = 1;
    },
    dispose: () => storage.close(),
  };
}

/** Returns the rows at `indices`, in that order; shared with `rows`. */
export function selectRows(rows: SampleRows, indices: readonly number[]): SampleRows {
  const { rowShape } = rows;
  return {
    rowShape,
    count: indices.length,
    byteLength: 4 * elementCount(rowShape) * indices.length,
    pick: (chosen) => rows.pick(Array.from(chosen, (row) => indices[row]!)),
  };
}

/** Returns all rows as one tensor. */
export async function wholeTensor(rows: SampleRows): Promise<Tensor> {
  return rows.pick(Array.from({ length: rows.count }, (_, row) => row));
}

function picker(rowShape: readonly number[], storage: () => RowStorage): SampleRows["pick"] {
  const size = elementCount(rowShape);
  return (rows) => {
    const picked = new Float32Array(rows.length * size);
    for (let index = 0; index < rows.length; index++) {
      storage().readInto(rows[index]!, picked.subarray(index * size, (index + 1) * size));
    }
    return float32Tensor(picked, [rows.length, ...rowShape]);
  };
}

/** Copies the rows that `written` marks. */
function copyRows(from: RowStorage, to: RowStorage, written: Uint8Array, size: number): void {
  const values = new Float32Array(size);
  for (const [row, mark] of written.entries()) {
    if (mark === 0) continue;
    from.readInto(row, values);
    to.write(row, values);
  }
}

function memoryStorage(data: Float32Array, size: number): RowStorage {
  return {
    write: (row, values) => data.set(values, row * size),
    readInto: (row, target) => target.set(data.subarray(row * size, (row + 1) * size)),
    close: () => {},
  };
}

/** Returns storage in a file; undefined if it cannot be made, or keeps its name: a killed process must leave nothing. */
function fileStorage(folder: string, size: number): RowStorage | undefined {
  const rowBytes = 4 * size;
  const file = openUnnamed(folder, "rows");
  if (file === undefined) return undefined;
  return {
    write: (row, values) => writeAt(file, bytesOf(values), row * rowBytes),
    readInto: (row, target) => readAt(file, bytesOf(target), row * rowBytes),
    close: () => closeSync(file),
  };
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
