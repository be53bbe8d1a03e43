/** Finds the columns of a table that are inputs, targets, weights, splits and groups. */
import { DataError } from "../errors.ts";
import { optionName } from "../options.ts";
import type { HashFile } from "./file-bytes.ts";
import { type AskedTargets, columnIndex, findColumn } from "./table-columns.ts";
import type { TableFile } from "./table-file.ts";

export interface TableOptions {
  /**
   * Input columns: one that names files or holds texts, or any number of columns of numbers; `*` stands for any characters
   * (`pixel*`). By default the column `file_name`, `path`, `filename` or `image`, else `text`.
   */
  readonly x?: string | readonly string[] | undefined;
  /** Target columns. By default the column `label`, `class` or `target`, else the only one that is left. */
  readonly targets?: string | readonly string[] | undefined;
  /** Column of sample weights. */
  readonly sampleWeight?: string | undefined;
  /** Column of split names (train, val, test, and their other names); by default `split`, if there is one. */
  readonly splitColumn?: string | undefined;
  /** Column whose equal values keep samples on one side of the split. */
  readonly group?: string | undefined;
  /** Kind of targets, if the cells leave that open: `single-label` reads a column of numbers as class names. */
  readonly task?: AskedTargets | undefined;
  /** The number of outputs of the model: with one, several columns of numbers are its values. By default each column is an output's. */
  readonly outputs?: number | undefined;
  /** Kind of inputs that the model takes; by default what the cells look like. */
  readonly kind?: "images" | "texts" | undefined;
  /** Share of train that is held out where no row is in val; 0.2 by default, 0 for none. */
  readonly validationFraction?: number | undefined;
  /** Returns the sha256 of a file's bytes; an index of known files can spare reading them. */
  readonly hashFile?: HashFile | undefined;
  /** True if the rows are only evaluated: no row of train is needed, and classes are those of all rows. */
  readonly forEvaluation?: boolean | undefined;
}

/** Places of everything in a row. */
export interface ColumnPlan {
  /** One column, of files, texts or numbers as its cells show where `holds` does not say it; or columns of numbers. */
  readonly inputs:
    | { readonly kind: "column"; readonly index: number; readonly holds?: "files" | "texts" }
    | { readonly kind: "numbers"; readonly indices: readonly number[] };
  readonly targets: readonly number[];
  readonly weight: number | undefined;
  readonly split: number | undefined;
  readonly group: number | undefined;
}

const fileColumns = ["file_name", "path", "filename", "image"];
const targetColumns = ["label", "labels", "class", "target", "targets", "category"];

/** Finds the columns that the options name, and those that go without saying. @throws {DataError} if one does not exist. */
export function planColumns(file: TableFile, options: TableOptions): ColumnPlan {
  const { path, columns } = file;
  const named = (name: string | undefined) =>
    name === undefined ? undefined : columnIndex(path, columns, name);
  const split = named(options.splitColumn) ?? findColumn(columns, ["split"]);
  const weight = named(options.sampleWeight);
  const group = named(options.group);
  const inputs = inputColumns(file, options);
  const taken = new Set([split, weight, group, ...("index" in inputs ? [inputs.index] : inputs.indices)]);
  const targets =
    options.targets === undefined
      ? defaultTargets(file, taken)
      : [options.targets].flat().flatMap((name) => columnsLike(path, columns, name));
  if (targets.length === 0)
    throw new DataError(
      `${path}: ${optionName("targets")}: expected a column or more, got none.`,
      "table-columns",
    );
  const both = targets.find((index) => taken.has(index));
  if (both !== undefined) {
    throw new DataError(
      `${path}: column "${columns[both]}": expected one purpose, got a target that is also an input, a weight, a split or a group.`,
      "table-columns",
    );
  }
  return { inputs, targets, weight, split, group };
}

function inputColumns({ path, columns }: TableFile, { x, kind }: TableOptions): ColumnPlan["inputs"] {
  if (x !== undefined) {
    const indices = [x].flat().flatMap((name) => columnsLike(path, columns, name));
    const [index] = indices;
    if (index === undefined)
      throw new DataError(
        `${path}: ${optionName("x")}: expected a column or more, got none.`,
        "table-columns",
      );
    return indices.length === 1 ? { kind: "column", index } : { kind: "numbers", indices };
  }
  const [text, file] = [findColumn(columns, ["text"]), findColumn(columns, fileColumns)];
  if (text !== undefined && (file === undefined || kind === "texts"))
    return { kind: "column", index: text, holds: "texts" };
  if (file !== undefined) return { kind: "column", index: file, holds: "files" };
  throw new DataError(
    `${path}: expected a column ${fileColumns.join(", ")} or text, got ${listed(columns)}. Name the input columns: ${optionName("x")}.`,
    "table-columns",
    "x",
  );
}

function defaultTargets(
  { path, columns }: TableFile,
  taken: ReadonlySet<number | undefined>,
): readonly number[] {
  const free = columns.map((_, index) => index).filter((index) => !taken.has(index) && columns[index] !== "");
  const known = findColumn(columns, targetColumns);
  if (known !== undefined && free.includes(known)) return [known];
  if (free.length === 1) return free;
  throw new DataError(
    `${path}: expected a column ${targetColumns.join(", ")}, got ${listed(free.map((index) => columns[index] ?? ""))}. Name the target columns: ${optionName("targets")}.`,
    "table-columns",
    "targets",
  );
}

function listed(names: readonly string[]): string {
  if (names.length === 0) return "no other";
  return names.length > 20
    ? `${names.slice(0, 20).join(", ")} and ${names.length - 20} more`
    : names.join(", ");
}

/** Returns the columns of a name, in which `*` stands for any characters. */
function columnsLike(path: string, columns: readonly string[], name: string): readonly number[] {
  if (!name.includes("*") || columns.includes(name)) return [columnIndex(path, columns, name)];
  const form = new RegExp(
    `^${name
      .split("*")
      .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
      .join(".*")}$`,
  );
  const found = columns.flatMap((column, index) => (form.test(column) ? [index] : []));
  return found.length > 0 ? found : [columnIndex(path, columns, name)];
}
