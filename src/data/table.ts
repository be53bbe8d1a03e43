import { dirname } from "node:path";
import { DataError } from "../errors.ts";
import { float32Tensor, type InputTensor, type Tensor } from "../tensor.ts";
import { rowHash, takeRows } from "./array-rows.ts";
import type { ArrayDataset, Batch, FileDataset, FileSample, ModelTargets, Split } from "./dataset.ts";
import { contentHash } from "./file-bytes.ts";
import { textFiles } from "./file-kind.ts";
import { splitOfValue } from "./split-names.ts";
import { heldOut, holdOut } from "./splits.ts";
import { type ColumnCells, numbersListed, requireNumber, requireTexts } from "./table-cells.ts";
import { type ReadTarget, readTarget, targetTensor } from "./table-columns.ts";
import { openTable, rowError, shortened } from "./table-file.ts";
import { findFiles } from "./table-paths.ts";
import { type ColumnPlan, planColumns, type TableOptions } from "./table-plan.ts";
import { columnAt, readRows, type TableRows } from "./table-rows.ts";

/**
 * Reads a table as a dataset, one row per sample: `.csv` (commas, semicolons or tabs), `.tsv` or `.jsonl`. Paths in it are relative to
 * the table. Files are not decoded.
 *
 * A column of targets holds classes, numbers, labels joined by `|`, or several numbers; several columns are several outputs, or the
 * values of one. Columns of numbers as inputs, and a column of texts, give a dataset of arrays.
 *
 * @throws {DataError} for a column that does not exist, an empty cell, cells of different kinds, a number that is not finite, or a
 * class that train lacks; it names the file and the line.
 *
 * @example
 * const data = await table("photos.csv", { targets: ["color", "price"], splitColumn: "part" });
 */
export async function table(path: string, options: TableOptions = {}): Promise<FileDataset | ArrayDataset> {
  const file = await openTable(path);
  const plan = planColumns(file, options);
  const rows = await readRows(file, plan);
  if (rows.lines.length === 0) throw new DataError(`${path}: expected rows, got none.`, "table-empty");
  const splits = readSplits(rows, plan);
  const isTrain = splits.map((split) => split === "train" || options.forEvaluation === true);
  if (!isTrain.includes(true))
    throw new DataError(`${path}: expected rows of train, got none.`, "table-no-train");
  const read = plan.targets.map((index) => readTarget(columnAt(rows, index), options.task, isTrain));
  const targets = options.outputs === 1 ? asVector(read) : read;
  const facts: TableFacts = {
    ...{ path, splits, targets },
    weights: plan.weight === undefined ? undefined : readWeights(columnAt(rows, plan.weight)),
    groups: plan.group === undefined ? undefined : requireTexts(columnAt(rows, plan.group)),
    warnings: file.warnings,
  };
  if (plan.inputs.kind === "numbers") return arraysOf(rows.inputs(), facts, options);
  const inputs = columnAt(rows, plan.inputs.index);
  const numbers = plan.inputs.holds === undefined ? numbersIn(inputs) : undefined;
  if (numbers) return arraysOf(numbers, facts, options);
  const data = requireTexts(inputs);
  const holds = plan.inputs.holds ?? (options.kind === "texts" || !arePaths(data) ? "texts" : "files");
  if (holds === "files") return filesOf(inputs, facts, options);
  return arraysOf({ dtype: "string", shape: [data.length], data }, facts, options);
}

/** Returns several columns of numbers as one of vectors, the values of one output. */
function asVector(targets: readonly ReadTarget[]): readonly ReadTarget[] {
  const [first, ...more] = targets;
  if (!first || more.length === 0 || targets.some(({ column }) => column.kind !== "numbers")) return targets;
  const values = first.values.map((_, row) => targets.map(({ values: all }) => Number(all[row])));
  const parts = targets.map(({ column }) => column.name);
  const name = parts.join(", ");
  const whole = targets.every(({ column }) => column.whole === true);
  return [{ column: { name, kind: "vector", size: targets.length, whole, parts }, values }];
}

/** Returns whether most texts end in a file's extension, or are single words. */
function arePaths(texts: readonly string[]): boolean {
  const paths = texts.filter((text) => /\.[a-z]\w{1,4}$/i.test(text) || !/\s/.test(text));
  return paths.length * 2 > texts.length;
}

/** Returns a column of numbers, or of lists of numbers, as inputs `[N, size]`; undefined for a column of texts. */
function numbersIn(column: ColumnCells): Tensor | undefined {
  const [first] = column.cells;
  const isText =
    typeof first === "string" &&
    Number.isNaN(Number(first.replace(",", "."))) &&
    !numbersListed(first, column.decimalComma);
  if (isText) return undefined;
  const { column: facts, values } = readTarget(column, undefined, []);
  if (facts.kind !== "numbers" && facts.kind !== "vector") return undefined;
  const { shape, data } = targetTensor(facts, values);
  return { dtype: "float32", shape: [shape[0] ?? 0, shape[1] ?? 1], data };
}

function readSplits(rows: TableRows, plan: ColumnPlan): readonly Split[] {
  if (plan.split === undefined) return rows.lines.map(() => "train");
  const column = columnAt(rows, plan.split);
  return requireTexts(column).map((text, row) => {
    const split = splitOfValue(text);
    if (split !== undefined) return split;
    throw rowError(
      rows.path,
      column.lines[row] ?? 0,
      `column "${column.name}": expected train, val or test, got ${shortened(text)}.`,
      "table-split",
    );
  });
}

function readWeights(column: ColumnCells): readonly number[] {
  return column.cells.map((cell, row) => {
    const line = column.lines[row] ?? 0;
    const weight = requireNumber(column, cell, line);
    if (weight >= 0) return weight;
    throw rowError(
      column.path,
      line,
      `column "${column.name}": expected a sample weight of 0 or more, got ${weight}.`,
    );
  });
}

/** Everything that the rows of a table have besides their inputs. */
interface TableFacts {
  readonly path: string;
  readonly splits: readonly Split[];
  readonly targets: readonly ReadTarget[];
  readonly weights: readonly number[] | undefined;
  readonly groups: readonly string[] | undefined;
  readonly warnings: readonly string[];
}

/** The only column, where it names the classes of the samples. */
function classesOf(targets: readonly ReadTarget[]): ReadTarget | undefined {
  const [only, ...more] = targets;
  return more.length === 0 && only?.column.kind === "classes" ? only : undefined;
}

async function filesOf(inputs: ColumnCells, facts: TableFacts, options: TableOptions): Promise<FileDataset> {
  const { splits, targets, weights, groups, path } = facts;
  const found = await findFiles(dirname(path), requireTexts(inputs), inputs);
  const isTexts =
    options.kind === "texts" || (options.kind === undefined && textFiles.matches(found.paths[0] ?? ""));
  const classes = classesOf(targets);
  const listed = found.paths.map((file, row): FileSample => {
    const label = classes?.values[row];
    const group = groups?.[row];
    const weight = weights?.[row];
    const values = targets.map(({ column, values: all }) => [column.name, all[row] ?? 0] as const);
    return {
      path: file,
      split: splits[row] ?? "train",
      ...(typeof label === "number" ? { label } : { targets: Object.fromEntries(values) }),
      ...(weight !== undefined && { weight }),
      ...(group !== undefined && { group }),
    };
  });
  const fraction = heldShare(splits, options);
  const samples = fraction > 0 ? await holdOut(listed, fraction, options.hashFile ?? contentHash) : listed;
  const warnings = [...facts.warnings, ...found.warnings, ...contradictions(path, samples, inputs.lines)];
  return {
    kind: isTexts ? "texts" : "images",
    classNames: classes?.column.classNames ?? [],
    samples,
    ...(!classes && { targetColumns: targets.map(({ column }) => column) }),
    ...(found.remarks.length > 0 && { remarks: found.remarks }),
    ...(warnings.length > 0 && { warnings }),
  };
}

/** Returns the share of train that is held out. */
function heldShare(splits: readonly Split[], { validationFraction, forEvaluation }: TableOptions): number {
  return splits.includes("val") ? 0 : (validationFraction ?? (forEvaluation ? 0 : 0.2));
}

/** Warns of files that several rows name with different classes. */
function contradictions(
  table: string,
  samples: readonly FileSample[],
  lines: ArrayLike<number>,
): readonly string[] {
  const rows = new Map<string, number>();
  const pairs: string[] = [];
  samples.forEach(({ path, label }, row) => {
    const earlier = rows.get(path);
    if (earlier === undefined) rows.set(path, row);
    else if (samples[earlier]?.label !== label)
      pairs.push(`${path} (lines ${lines[earlier]} and ${lines[row]})`);
  });
  if (pairs.length === 0) return [];
  const some = pairs.slice(0, 3).join(", ");
  return [
    `${table}: ${pairs.length} rows name a file again with another class: ${some}${pairs.length > 3 ? ", …" : ""}. For samples of several labels write one row, with | between them.`,
  ];
}

function arraysOf(inputs: InputTensor, facts: TableFacts, options: TableOptions): ArrayDataset {
  const { targets, warnings } = facts;
  const classes = classesOf(targets);
  const splits = splitRows(inputs, facts, options);
  const part = (split: Split): Batch | undefined => {
    const rows = splits.flatMap((each, row) => (each === split ? [row] : []));
    return rows.length === 0 ? undefined : batchOf(inputs, facts, rows);
  };
  const [train, validation, test] = [part("train"), part("val"), part("test")];
  // Rows that are only evaluated may all be of another split.
  const first = train ?? validation ?? test;
  if (first === undefined) throw new DataError(`${facts.path}: expected rows, got none.`, "table-empty");
  return {
    kind: "arrays",
    ...first,
    ...(validation && { validation }),
    ...(test && { test }),
    ...(classes?.column.classNames && { classNames: classes.column.classNames }),
    targetColumns: targets.map(({ column }) => column),
    ...(warnings.length > 0 && { warnings }),
  };
}

/** Returns the splits of the rows, with part of train as val where there is none. */
function splitRows(
  inputs: InputTensor,
  { splits, targets, groups }: TableFacts,
  options: TableOptions,
): readonly Split[] {
  const fraction = heldShare(splits, options);
  if (fraction === 0) return splits;
  const train = splits.flatMap((split, row) => (split === "train" ? [row] : []));
  const classes = classesOf(targets);
  const items = train.map((row) => {
    const label = classes?.values[row];
    return {
      hash: rowHash(inputs, row),
      label: typeof label === "number" ? label : undefined,
      group: groups?.[row],
    };
  });
  const held = new Set([...heldOut(items, fraction)].map((position) => train[position]));
  return splits.map((split, row) => (held.has(row) ? "val" : split));
}

function batchOf(inputs: InputTensor, { targets, weights }: TableFacts, rows: readonly number[]): Batch {
  const tensors = targets.map(({ column, values }) => {
    const own = rows.map((row) => values[row] ?? 0);
    return [column.name, targetTensor(column, own)] as const;
  });
  const [[, first] = []] = tensors;
  const record: ModelTargets = tensors.length === 1 && first ? first : Object.fromEntries(tensors);
  return {
    inputs: takeRows(inputs, rows),
    targets: record,
    ...(weights && {
      sampleWeights: float32Tensor(
        Float32Array.from(rows, (row) => weights[row] ?? 1),
        [rows.length],
      ),
    }),
  };
}
