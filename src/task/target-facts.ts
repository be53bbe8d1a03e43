/** Facts that the data gives about an output's targets, before anything is decided. */
import type { Dataset, FileDataset, ModelTargets, TargetColumn } from "../data/dataset.ts";
import { isOneTensor } from "../data/dataset.ts";
import type { Tensor } from "../tensor.ts";
import { toFloat32 } from "../tensor.ts";

/** Targets of one output, as far as the data tells. */
export type TargetFacts =
  /** One class per sample, or per position of a mask, in whatever form the loss wants it. */
  | { readonly form: "classes"; readonly names: readonly string[]; readonly perPosition: boolean }
  /** Any of several labels per sample. */
  | { readonly form: "labels"; readonly names: readonly string[] }
  /** Numbers per sample. */
  | { readonly form: "numbers"; readonly size: number; readonly range: NumberRange }
  /** An array as the caller made it. */
  | {
      readonly form: "array";
      readonly tensor: Tensor;
      readonly names?: readonly string[] | undefined;
      readonly range: NumberRange;
    };

/** Facts about the values of targets. */
export interface NumberRange {
  readonly whole: boolean;
  readonly low: number;
  readonly high: number;
}

/** Returns the facts of each output; null where the data says nothing of one. */
export function targetFacts(
  dataset: Dataset | undefined,
  outputs: readonly string[],
): readonly (TargetFacts | null)[] {
  if (!dataset || dataset.kind === "batches") return outputs.map(() => null);
  if (dataset.kind === "arrays") {
    const { targets, classNames, targetColumns } = dataset;
    const tensors = tensorsByOutput(targets, outputs);
    return outputs.map((name, index) => {
      const tensor = tensors[index];
      if (!tensor) return null;
      const column = columnOf(targetColumns, name, outputs.length);
      return arrayFacts(tensor, column?.classNames ?? (outputs.length === 1 ? classNames : undefined));
    });
  }
  return fileFacts(dataset, outputs);
}

function arrayFacts(tensor: Tensor, names: readonly string[] | undefined): TargetFacts {
  return {
    form: "array",
    tensor,
    names: names?.length ? names : undefined,
    range: rangeOf(toFloat32(tensor)),
  };
}

function tensorsByOutput(targets: ModelTargets, outputs: readonly string[]): readonly (Tensor | undefined)[] {
  if (isOneTensor(targets)) return outputs.map((_, index) => (index === 0 ? targets : undefined));
  if (Array.isArray(targets)) return outputs.map((_, index) => (targets as readonly Tensor[])[index]);
  const record = targets as Readonly<Record<string, Tensor>>;
  const [only, ...more] = Object.values(record);
  if (outputs.length === 1 && more.length === 0) return [only];
  return outputs.map((name) => record[name]);
}

function columnOf(
  columns: readonly TargetColumn[] | undefined,
  output: string,
  outputs: number,
): TargetColumn | undefined {
  const named = columns?.find(({ name }) => name === output);
  return named ?? (outputs === 1 && columns?.length === 1 ? columns[0] : undefined);
}

function fileFacts(dataset: FileDataset, outputs: readonly string[]): readonly (TargetFacts | null)[] {
  const { targetColumns: columns, classNames } = dataset;
  if (!columns || columns.length === 0) {
    return outputs.map((_, index) =>
      index === 0 ? { form: "classes", names: classNames, perPosition: false } : null,
    );
  }
  if (outputs.length === 1 && columns.length > 1) return [vectorOf(dataset, columns)];
  return outputs.map((name) => {
    const column = columnOf(columns, name, outputs.length);
    return column ? columnFacts(dataset, column) : null;
  });
}

/** Several columns of numbers are the values of one output. */
function vectorOf(dataset: FileDataset, columns: readonly TargetColumn[]): TargetFacts | null {
  const facts = columns.map((column) => columnFacts(dataset, column));
  const numbers = facts.flatMap((each) => (each.form === "numbers" ? [each] : []));
  if (numbers.length !== facts.length) return null;
  return {
    form: "numbers",
    size: numbers.reduce((sum, { size }) => sum + size, 0),
    range: {
      whole: numbers.every(({ range }) => range.whole),
      low: Math.min(...numbers.map(({ range }) => range.low)),
      high: Math.max(...numbers.map(({ range }) => range.high)),
    },
  };
}

function columnFacts(
  dataset: FileDataset,
  { name, kind, classNames = [], size = 1 }: TargetColumn,
): TargetFacts {
  switch (kind) {
    case "classes":
      return { form: "classes", names: classNames, perPosition: false };
    case "mask":
      return { form: "classes", names: classNames, perPosition: true };
    case "labels":
      return { form: "labels", names: classNames };
    default: {
      const values = dataset.samples.flatMap(({ targets }) => {
        const value = targets?.[name];
        return typeof value === "number" ? [value] : Array.isArray(value) ? (value as number[]) : [];
      });
      return { form: "numbers", size, range: rangeOf(values) };
    }
  }
}

function rangeOf(values: ArrayLike<number>): NumberRange {
  let [whole, low, high] = [true, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let index = 0; index < values.length; index++) {
    const value = values[index] ?? Number.NaN;
    if (!Number.isInteger(value)) whole = false;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return { whole, low, high };
}
