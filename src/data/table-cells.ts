/** @file Cells of a table as texts and numbers. */
import { type Cell, rowError, shortened } from "./table-file.ts";

/** One column of a table, with where its cells stand. */
export interface ColumnCells {
  readonly path: string;
  readonly name: string;
  readonly cells: readonly Cell[];
  /** Line of each cell in the file. */
  readonly lines: ArrayLike<number>;
  readonly decimalComma: boolean;
}

/** Returns a cell's text, undefined for an empty cell. */
export function textOf(cell: Cell): string | undefined {
  if (cell === undefined || cell === null || typeof cell === "object") return undefined;
  const text = String(cell).trim();
  return text === "" ? undefined : text;
}

const numberForm = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;
const notFinite = /^[+-]?(?:nan|inf|infinity)$/i;

/** Returns the number in a cell; undefined where it holds something else, NaN or an infinity where it says so. */
export function numberIn(cell: Cell, decimalComma: boolean): number | undefined {
  if (typeof cell === "number") return cell;
  if (typeof cell !== "string") return undefined;
  const text = cell.trim();
  if (decimalComma && /^[+-]?\d*,\d+(?:e[+-]?\d+)?$/i.test(text)) return Number(text.replace(",", "."));
  if (numberForm.test(text)) return Number(text);
  if (!notFinite.test(text)) return undefined;
  return /nan/i.test(text)
    ? Number.NaN
    : text.startsWith("-")
      ? Number.NEGATIVE_INFINITY
      : Number.POSITIVE_INFINITY;
}

/**
 * Returns the numbers that one cell lists, `"0 12 255"`, `"0, 12, 255"`, `"[0,12,255]"` or a JSON list; undefined for a single number or
 * anything else. A comma alone between two numbers is none: it may stand for a decimal point.
 */
export function numbersListed(cell: Cell, decimalComma: boolean): readonly number[] | undefined {
  const parts = Array.isArray(cell)
    ? (cell as readonly Cell[])
    : typeof cell === "string"
      ? partsOf(cell)
      : [];
  if (parts.length < 2 && !Array.isArray(cell)) return undefined;
  const numbers = parts.map((part) => numberIn(part, decimalComma));
  return numbers.every((number) => number !== undefined) ? numbers : undefined;
}

function partsOf(text: string): readonly string[] {
  const inside = /^\[(.*)\]$/s.exec(text.trim())?.[1];
  if (inside !== undefined) return inside.trim().split(/\s*,\s*|\s+/);
  return text.trim().split(/,?\s+/);
}

/** Returns a cell's number. @throws {DataError} if the cell is empty or holds something else, or a number that is not finite. */
export function requireNumber(
  column: Omit<ColumnCells, "cells" | "lines">,
  cell: Cell,
  line: number,
): number {
  const value = numberIn(cell, column.decimalComma);
  if (value !== undefined && Number.isFinite(value)) return value;
  const what = `column "${column.name}": expected a`;
  if (value !== undefined) throw rowError(column.path, line, `${what} finite number, got ${value}.`);
  throw rowError(column.path, line, `${what} number, got ${cellText(cell)}. Correct it or remove the row.`);
}

/** Returns a cell as messages show it. */
export function cellText(cell: Cell): string {
  return textOf(cell) === undefined && typeof cell !== "object"
    ? "an empty cell"
    : shortened(typeof cell === "object" ? JSON.stringify(cell) : String(cell));
}

/** Returns the text of each cell. @throws {DataError} if one is empty. */
export function requireTexts({ path, name, cells, lines }: ColumnCells): readonly string[] {
  return cells.map((cell, row) => {
    const text = textOf(cell);
    if (text !== undefined) return text;
    const given = typeof cell === "object" && cell !== null ? cellText(cell) : "an empty cell";
    throw rowError(
      path,
      lines[row] ?? 0,
      `column "${name}": expected a text, got ${given}. Fill it in or remove the row.`,
    );
  });
}
