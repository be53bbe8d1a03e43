/** Targets of files, as the losses take them. */
import type { FileDataset, FileSample, SampleTarget, TargetColumn } from "../data/dataset.ts";
import { labelOf } from "../data/dataset.ts";
import { DataError } from "../errors.ts";
import type { Tensor } from "../tensor.ts";
import { float32Tensor } from "../tensor.ts";
import type { OutputSizes } from "./mask-targets.ts";
import { maskTargets } from "./mask-targets.ts";
import type { Objective, OutputObjective } from "./objective.ts";
import type { OutputTargets } from "./output-targets.ts";
import { targetsFor, targetsOf } from "./targets.ts";
import type { Task } from "./task.ts";

/**
 * Returns the targets and sample weights of some of a dataset's samples, one for each output; null for an output without a loss.
 * Classes are matched to the output's by name. Masks are read here.
 *
 * @param sizes Sizes of the outputs, for masks.
 * @throws {DataError} for a class that the output does not have, or an output that no column is the target of.
 */
export async function sampleTargets(
  dataset: FileDataset,
  samples: readonly FileSample[],
  task: Task,
  { outputs }: Objective,
  sizes: OutputSizes,
): Promise<(OutputTargets | null)[]> {
  const weights = sampleWeightsOf(samples);
  return Promise.all(
    outputs.map(async (given, index) => {
      if (!given.loss) return null;
      const labels = task.outputs[index]?.labels;
      const output = { ...given, loss: given.loss };
      const column = columnFor(dataset, output.name, outputs.length);
      const targets =
        column?.kind === "mask"
          ? await maskTargets(column, samples, output, sizes[index], labels)
          : outputTargets(dataset, samples, output, outputs.length, labels);
      return { targets, ...(weights && { weights }) };
    }),
  );
}

function columnFor(
  { targetColumns: columns = [] }: FileDataset,
  name: string,
  outputs: number,
): TargetColumn | undefined {
  const named = columns.find((column) => column.name === name);
  return named ?? (outputs === 1 && columns.length === 1 ? columns[0] : undefined);
}

type Trained = OutputObjective & { readonly loss: NonNullable<OutputObjective["loss"]> };

function outputTargets(
  dataset: FileDataset,
  samples: readonly FileSample[],
  output: Trained,
  outputs: number,
  labels: readonly string[] | undefined,
): Tensor {
  const { classNames, targetColumns: columns = [] } = dataset;
  const column = columnFor(dataset, output.name, outputs);
  if (column) return columnTargets(column, samples, output, labels);
  if (outputs === 1 && columns.length > 1) return vectorTargets(columns, samples, output);
  if (columns.length > 0 || outputs > 1) {
    throw new DataError(
      `targets of ${output.name}: expected a column of that name, got ${columns.map(({ name }) => name).join(", ") || "one class per sample"}. Name the column as the output.`,
      "target-column",
    );
  }
  const place = placesOf(classNames, labels, output.name);
  const indices = samples.map((sample) => place(labelOf(sample)));
  return targetsOf(indices, output.shape.at(-1) ?? 1, output.loss);
}

function columnTargets(
  column: TargetColumn,
  samples: readonly FileSample[],
  output: Trained,
  labels: readonly string[] | undefined,
): Tensor {
  const { name, kind, classNames = [], size = 1 } = column;
  const units = output.shape.at(-1) ?? 1;
  const place = placesOf(classNames, labels, output.name);
  switch (kind) {
    case "classes":
      return targetsOf(
        samples.map((sample) => place(numberOf(sample, name))),
        units,
        output.loss,
      );
    case "labels": {
      const data = new Float32Array(samples.length * units);
      for (const [row, sample] of samples.entries()) {
        for (const label of listOf(sample, name)) data[row * units + place(label)] = 1;
      }
      return float32Tensor(data, [samples.length, units]);
    }
    case "numbers":
    case "vector": {
      const rows = samples.flatMap((sample) =>
        kind === "numbers" ? [numberOf(sample, name)] : listOf(sample, name),
      );
      const shape =
        kind === "numbers" && output.loss.targets === "indices" ? [samples.length] : [samples.length, size];
      return targetsFor(float32Tensor(Float32Array.from(rows), shape), output, `targets of ${name}`);
    }
    case "mask":
      throw new DataError(
        `targets of ${name}: expected an output for masks alone, got one among others.`,
        "masks",
      );
  }
}

/** Several columns of numbers side by side. */
function vectorTargets(
  columns: readonly TargetColumn[],
  samples: readonly FileSample[],
  output: Trained,
): Tensor {
  const rows = samples.map((sample) =>
    columns.flatMap(({ name, kind }) =>
      kind === "vector" ? listOf(sample, name) : [numberOf(sample, name)],
    ),
  );
  const tensor = float32Tensor(Float32Array.from(rows.flat()), [rows.length, rows[0]?.length ?? 0]);
  return targetsFor(tensor, output, `targets of ${columns.map(({ name }) => name).join(", ")}`);
}

/** The place of a class of the data in the output. */
function placesOf(
  names: readonly string[],
  labels: readonly string[] | undefined,
  output: string,
): (label: number) => number {
  if (!labels) return (label) => label;
  const places = names.map((name) => labels.indexOf(name));
  return (label) => {
    const place = places[label];
    if (place !== undefined && place >= 0) return place;
    throw new DataError(
      `data has class "${names[label]}" that the model lacks. ${output} knows ${labels.slice(0, 10).join(", ")}${labels.length > 10 ? ` and ${labels.length - 10} more` : ""}.`,
      "data-extra-class",
    );
  };
}

function targetOf({ path, targets }: FileSample, name: string): SampleTarget {
  const value = targets?.[name];
  if (value !== undefined) return value;
  throw new DataError(`${path}: ${name}: expected a target, got none.`, "no-target");
}

function numberOf(sample: FileSample, name: string): number {
  const value = targetOf(sample, name);
  if (typeof value === "number") return value;
  throw new DataError(`${sample.path}: ${name}: expected a number, got ${JSON.stringify(value)}.`, "target");
}

function listOf(sample: FileSample, name: string): readonly number[] {
  const value = targetOf(sample, name);
  if (Array.isArray(value)) return value as readonly number[];
  throw new DataError(
    `${sample.path}: ${name}: expected a list of numbers, got ${JSON.stringify(value)}.`,
    "target",
  );
}

function sampleWeightsOf(samples: readonly FileSample[]): Tensor | undefined {
  if (samples.every(({ weight }) => weight === undefined)) return undefined;
  return float32Tensor(
    Float32Array.from(samples, ({ weight }) => weight ?? 1),
    [samples.length],
  );
}
