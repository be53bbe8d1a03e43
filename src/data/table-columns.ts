/** Columns of a table as numbers, classes, labels or vectors. */
import { DataError } from "../errors.ts";
import { nearestNames } from "../freeze/suggestions.ts";
import { optionSetTo } from "../options.ts";
import { float32Tensor, type Tensor } from "../tensor.ts";
import type { SampleTarget, TargetColumn } from "./dataset.ts";
import { byCodePoint } from "./file-listing.ts";
import {
  type ColumnCells,
  cellText,
  numberIn,
  numbersListed,
  requireNumber,
  requireTexts,
  textOf,
} from "./table-cells.ts";
import { type Cell, rowError } from "./table-file.ts";

/** A target column with the target of every row. */
export interface ReadTarget {
  readonly column: TargetColumn;
  readonly values: readonly SampleTarget[];
}

/** Kind of targets that a caller asks for; undefined lets the cells decide. */
export type AskedTargets = "single-label" | "multi-label" | "regression";

/**
 * Returns the index of the column that a name means: the exact name, else one that differs in case, spaces or underscores alone.
 *
 * @throws {DataError} if there is none; it suggests the nearest.
 */
export function columnIndex(path: string, columns: readonly string[], name: string): number {
  const index = findColumn(columns, [name]);
  if (index !== undefined) return index;
  const [near] = nearestNames(name, columns, 1);
  const hint = near === undefined ? "" : ` Did you mean ${near}?`;
  const some =
    columns.length > 20
      ? `${columns.slice(0, 20).join(", ")} and ${columns.length - 20} more`
      : columns.join(", ");
  throw new DataError(`${path}: no column "${name}".${hint} The columns are ${some}.`, "table-columns");
}

/** Returns the index of the first column of one of these names, undefined if there is none. */
export function findColumn(columns: readonly string[], names: readonly string[]): number | undefined {
  const plain = (name: string) => name.toLowerCase().replace(/[\s_-]+/g, "");
  for (const name of names) {
    const exact = columns.indexOf(name);
    if (exact >= 0) return exact;
    const like = columns.findIndex((column) => plain(column) === plain(name));
    if (like >= 0) return like;
  }
  return undefined;
}

/** A number with a comma in a table whose cells commas separate: of decimals or of thousands, which nobody can tell. */
const ambiguousNumber = /^[+-]?\d+(?:[.,]\d+)*,\d+(?:[.,]\d+)*$/;

/**
 * Reads the targets in a column. `|` between texts makes labels; texts are classes; numbers are numbers, and stay so unless the
 * caller asks for classes; several numbers in a cell are a vector.
 *
 * @param isTrain Whether each row is one of train: classes are those of train.
 * @throws {DataError} for an empty cell, cells of different kinds, a number that is not finite, or a class that train lacks.
 */
export function readTarget(
  column: ColumnCells,
  asked: AskedTargets | undefined,
  isTrain: readonly boolean[],
): ReadTarget {
  const { cells } = column;
  const kind =
    asked === "multi-label" ? "labels" : asked === "single-label" ? "classes" : kindOf(column, asked);
  if (kind === "labels") return readLabels(column, isTrain);
  if (kind === "classes") return readClasses(column, requireTexts(column), isTrain);
  if (kind === "vector") return readVectors(column);
  const values = cells.map((cell, row) => requireNumber(column, cell, column.lines[row] ?? 0));
  return { column: { name: column.name, kind: "numbers", whole: values.every(Number.isInteger) }, values };
}

function kindOf(
  column: ColumnCells,
  asked: AskedTargets | undefined,
): "classes" | "labels" | "numbers" | "vector" {
  const { cells, decimalComma, path, name, lines } = column;
  const isLabels = (cell: Cell) =>
    (typeof cell === "string" && cell.includes("|")) ||
    (Array.isArray(cell) && cell.some((each) => typeof each === "string"));
  if (asked === undefined && cells.some(isLabels)) return "labels";
  const ambiguous = cells.findIndex(
    (cell) =>
      typeof cell === "string" &&
      ambiguousNumber.test(cell.trim()) &&
      numberIn(cell, decimalComma) === undefined,
  );
  if (ambiguous >= 0) {
    throw rowError(
      path,
      lines[ambiguous] ?? 0,
      `column "${name}": expected a number with a decimal point and no separator of thousands, got ${cellText(cells[ambiguous])}.`,
      "table-number",
    );
  }
  const [point, comma] = [/^[+-]?\d+\.\d+$/, /^[+-]?\d*,\d+$/].map((form) =>
    cells.findIndex((cell) => typeof cell === "string" && form.test(cell.trim())),
  ) as [number, number];
  if (decimalComma && point >= 0 && comma >= 0) {
    throw rowError(
      path,
      lines[point] ?? 0,
      `column "${name}": expected a decimal comma as in line ${lines[comma]}, got ${cellText(cells[point])}.`,
      "table-number",
    );
  }
  const filled = cells.filter((cell) => Array.isArray(cell) || textOf(cell) !== undefined);
  if (filled.length > 0 && filled.every((cell) => numbersListed(cell, decimalComma) !== undefined))
    return "vector";
  const isNumber = cells.map((cell) => numberIn(cell, decimalComma) !== undefined);
  const numbers = isNumber.filter(Boolean).length;
  if (asked === "regression" || numbers === filled.length) return "numbers";
  if (numbers * 2 <= filled.length) return "classes";
  const row = cells.findIndex((cell, index) => isNumber[index] === false && textOf(cell) !== undefined);
  throw rowError(
    path,
    lines[row] ?? 0,
    `column "${name}": expected a number, as in ${numbers} of ${filled.length} rows, got ${cellText(cells[row])}. Correct it, remove the row, or say that the column names classes: ${optionSetTo("task", "single-label")}.`,
    "table-mixed",
  );
}

function readVectors(column: ColumnCells): ReadTarget {
  const { path, name, cells, lines, decimalComma } = column;
  const values = cells.map((cell, row) => {
    const numbers = numbersListed(cell, decimalComma);
    if (numbers?.every(Number.isFinite)) return numbers;
    throw rowError(
      path,
      lines[row] ?? 0,
      `column "${name}": expected finite numbers, got ${cellText(cell)}.`,
    );
  });
  const size = values[0]?.length ?? 0;
  const other = values.findIndex(({ length }) => length !== size);
  if (other >= 0) {
    throw rowError(
      path,
      lines[other] ?? 0,
      `column "${name}": expected ${size} numbers, as in the first row, got ${values[other]?.length}.`,
    );
  }
  return {
    column: { name, kind: "vector", size, whole: values.every((each) => each.every(Number.isInteger)) },
    values,
  };
}

function readClasses(
  { path, name, lines }: ColumnCells,
  texts: readonly string[],
  isTrain: readonly boolean[],
): ReadTarget {
  const classNames = namesInOrder(texts.filter((_, row) => isTrain[row]));
  const indices = new Map(classNames.map((each, index) => [each, index]));
  const values = texts.map((text, row) => {
    const index = indices.get(text);
    if (index !== undefined) return index;
    throw extraClass(path, lines[row] ?? 0, name, text, classNames);
  });
  return { column: { name, kind: "classes", classNames }, values };
}

/** An empty cell is a sample without labels, which multi-label data has. */
function readLabels({ path, name, cells, lines }: ColumnCells, isTrain: readonly boolean[]): ReadTarget {
  const lists = cells.map((cell) => {
    const parts = Array.isArray(cell) ? (cell as readonly Cell[]) : (textOf(cell) ?? "").split("|");
    return parts.flatMap((part) => textOf(part) ?? []);
  });
  const classNames = namesInOrder(lists.filter((_, row) => isTrain[row]).flat());
  const indices = new Map(classNames.map((each, index) => [each, index]));
  const values = lists.map((list, row) =>
    [...new Set(list)].map((label) => {
      const index = indices.get(label);
      if (index !== undefined) return index;
      throw extraClass(path, lines[row] ?? 0, name, label, classNames);
    }),
  );
  return { column: { name, kind: "labels", classNames }, values };
}

function extraClass(
  path: string,
  line: number,
  column: string,
  name: string,
  classNames: readonly string[],
): DataError {
  const [near] = nearestNames(name, classNames, 1);
  const hint = near === undefined ? "" : ` Did you mean ${near}?`;
  return rowError(
    path,
    line,
    `column "${column}": "${name}" is no class of the rows of train.${hint}`,
    "data-extra-class",
  );
}

/** Returns the different names: whole numbers by size, others in code-point order. */
function namesInOrder(texts: readonly string[]): readonly string[] {
  const names = [...new Set(texts)];
  const areWhole = names.every((name) => /^-?\d{1,15}$/.test(name));
  return names.sort(areWhole ? (a, b) => Number(a) - Number(b) || byCodePoint(a, b) : byCodePoint);
}

/**
 * Returns a column's targets as one tensor: class indices int32 `[N]`, labels as zeros and ones `[N, K]`, numbers `[N]`, vectors
 * `[N, size]`, float32.
 */
export function targetTensor(
  { kind, classNames = [], size = 1 }: TargetColumn,
  values: readonly SampleTarget[],
): Tensor {
  const rows = values.length;
  if (kind === "classes") return { dtype: "int32", shape: [rows], data: Int32Array.from(values, Number) };
  if (kind === "numbers") return float32Tensor(Float32Array.from(values, Number), [rows]);
  const width = kind === "labels" ? classNames.length : size;
  const data = new Float32Array(rows * width);
  values.forEach((value, row) => {
    if (!Array.isArray(value)) return;
    const list = value as readonly number[];
    if (kind === "labels") for (const index of list) data[row * width + index] = 1;
    else data.set(list, row * width);
  });
  return float32Tensor(data, [rows, width]);
}
