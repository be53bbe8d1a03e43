import { float32Tensor, type Tensor } from "../tensor.ts";
import { type ColumnCells, requireNumber } from "./table-cells.ts";
import type { Cell, TableFile } from "./table-file.ts";
import type { ColumnPlan } from "./table-plan.ts";

/** The columns that are kept, by index; many columns of numbers as one tensor. */
export interface TableRows {
  readonly path: string;
  readonly columns: readonly string[];
  readonly decimalComma: boolean;
  readonly lines: readonly number[];
  readonly cells: ReadonlyMap<number, readonly Cell[]>;
  /** Returns the columns of numbers, `[N, columns]`. */
  inputs(): Tensor;
}

const rowsPerChunk = 1024;

/** Reads the rows of a table and keeps the columns that a plan names. @throws {DataError} for a cell of inputs that is no number. */
export async function readRows(
  file: TableFile,
  { inputs, targets, weight, split, group }: ColumnPlan,
): Promise<TableRows> {
  const { path, columns, decimalComma } = file;
  const kept = [...targets, weight, split, group, ...(inputs.kind === "column" ? [inputs.index] : [])];
  const cells = new Map<number, Cell[]>(kept.flatMap((index) => (index === undefined ? [] : [[index, []]])));
  const indices = inputs.kind === "numbers" ? inputs.indices : [];
  const lines: number[] = [];
  const chunks: Float32Array[] = [];
  for await (const row of file.rows()) {
    for (const [index, column] of cells) column.push(row.cells[index]);
    const at = lines.length % rowsPerChunk;
    if (at === 0) chunks.push(new Float32Array(rowsPerChunk * indices.length));
    const chunk = chunks.at(-1);
    indices.forEach((index, position) => {
      const column = { path, name: columns[index] ?? "", decimalComma };
      if (chunk) chunk[at * indices.length + position] = requireNumber(column, row.cells[index], row.line);
    });
    lines.push(row.line);
  }
  return {
    ...{ path, columns, decimalComma, lines, cells },
    inputs: () => {
      const data = new Float32Array(lines.length * indices.length);
      chunks.forEach((chunk, index) => {
        const from = index * rowsPerChunk * indices.length;
        data.set(chunk.subarray(0, data.length - from), from);
      });
      return float32Tensor(data, [lines.length, indices.length]);
    },
  };
}

/** Returns one of the columns that were kept. */
export function columnAt(
  { path, columns, decimalComma, lines, cells }: TableRows,
  index: number,
): ColumnCells {
  return { path, name: columns[index] ?? "", cells: cells.get(index) ?? [], lines, decimalComma };
}
