import { DataError, UsageError } from "../errors.ts";
import { optionName } from "../options.ts";
import type { Shape, Tensor } from "../tensor.ts";
import { float32Tensor, formatShape, toFloat32 } from "../tensor.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";
import type { Loss } from "./losses.ts";

/** Labels as the loss takes them: indices `[N]`, one-hot `[N, K]`, or 0 and 1 `[N, 1]` for a single output unit. */
export function targetsOf(labels: readonly number[], units: number, loss: Loss): Tensor {
  if (loss.targets === "indices" || units === 1) {
    const shape = loss.targets === "indices" ? [labels.length] : [labels.length, 1];
    return { dtype: "float32", shape, data: Float32Array.from(labels) };
  }
  const data = new Float32Array(labels.length * units);
  labels.forEach((label, row) => {
    data[row * units + label] = 1;
  });
  return { dtype: "float32", shape: [labels.length, units], data };
}

/** @throws {UsageError} for a weight of a class, by name or index, that there is none of. */
export function requireKnownClasses(
  classWeight: Readonly<Record<string, number>>,
  classNames: readonly string[],
): void {
  const strange = Object.keys(classWeight).find(
    (key) => !classNames.includes(key) && !(/^\d+$/.test(key) && Number(key) < classNames.length),
  );
  if (strange === undefined) return;
  const more = classNames.length > 20 ? ` and ${classNames.length - 20} more` : "";
  throw new UsageError(
    `${optionName("classWeight")} ${JSON.stringify(strange)}: expected a class of the data, got none of that name. Classes: ${classNames.slice(0, 20).join(", ")}${more}.`,
    "class-weight",
    "classWeight",
  );
}

/** Weights by class index for a `class_weight` of names or indices, or balanced over `labels`. */
export function classWeights(
  classWeight: "balanced" | Readonly<Record<string, number>>,
  classNames: readonly string[],
  labels: readonly number[],
): Record<string, number> {
  if (classWeight !== "balanced") {
    return Object.fromEntries(
      Object.entries(classWeight).map(([key, weight]) => {
        const index = classNames.indexOf(key);
        return [index >= 0 ? String(index) : key, weight];
      }),
    );
  }
  return Object.fromEntries(
    classNames.map((_, index) => {
      const count = labels.filter((label) => label === index).length;
      return [String(index), labels.length / (classNames.length * count)];
    }),
  );
}

/** The shape of the model's only output, batch first. */
export function outputShape({ nodes, outputs }: LayerGraph): Shape {
  const { ref } = outputs[0]!;
  return nodes[ref.node]!.outputs[ref.output]!.shape ?? [null, null];
}

/**
 * Given targets as the loss takes them, float32: indices `[N, …]` (or `[N, …, 1]`), else values of the output's shape; a last
 * dimension of 1 may be left out, as in Keras. @throws {DataError} for one-hot targets where the loss counts classes, and the
 * other way round.
 */
export function targetsFor(targets: Tensor, output: Shape, loss: Loss): Tensor {
  const { shape } = targets;
  const units = output.at(-1) ?? null;
  const values = toFloat32(targets);
  const wholeRank = shape.length === output.length;
  if (loss.targets === "indices") {
    if (wholeRank ? shape.at(-1) === 1 : shape.length === output.length - 1)
      return float32Tensor(values, shape);
    throw new DataError(
      `targets: ${loss.name}: expected class indices ${batchOf(output.slice(0, -1))}, got ${formatShape(shape)}. Use categorical_crossentropy for one-hot targets.`,
      "targets",
    );
  }
  if (units === 1 && shape.length === output.length - 1) return float32Tensor(values, [...shape, 1]);
  if (wholeRank && (units === null || shape.at(-1) === units)) return float32Tensor(values, shape);
  throw new DataError(
    `targets: ${loss.name}: expected ${batchOf(output)}, got ${formatShape(shape)}. Use sparse_categorical_crossentropy for class indices.`,
    "targets",
  );
}

function batchOf(shape: Shape): string {
  return `[${["N", ...shape.slice(1).map((size) => size ?? "any")].join(",")}]`;
}

/** Whether the targets tell a class of every position of an output `[N, …, K]`, not one of each sample. */
export function areOfPositions({ shape }: Tensor, output: Shape): boolean {
  const positions = output.slice(1, -1);
  return (
    positions.length > 0 &&
    shape.length >= output.length - 1 &&
    positions.every((size, axis) => size === null || size === shape[axis + 1])
  );
}

/** How many classes targets tell apart: their width, or the largest index and those below it; two for one column. */
export function classCount(targets: Tensor): number {
  const width = targets.shape.length > 1 ? targets.shape.at(-1)! : 1;
  if (width > 1) return width;
  return toFloat32(targets).reduce((largest, label) => Math.max(largest, label), 1) + 1;
}

/** Each row's class: its value, or the first place of its largest where a row has several. */
export function classIndices(targets: Tensor): number[] {
  const [samples, width = 1] = targets.shape as [number, number?];
  const values = toFloat32(targets);
  return Array.from({ length: samples }, (_, row) => {
    const own = values.subarray(row * width, (row + 1) * width);
    return width === 1 ? own[0]! : own.indexOf(Math.max(...own));
  });
}
