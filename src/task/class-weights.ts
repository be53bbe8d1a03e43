/** Weights of samples by their class, beside weights of their own. */
import { UsageError } from "../errors.ts";
import { optionName } from "../options.ts";
import type { Tensor } from "../tensor.ts";
import { float32Tensor, toFloat32 } from "../tensor.ts";
import { highest } from "./metrics/accuracies.ts";
import { weightPerValue } from "./metrics/mean.ts";
import type { OutputObjective } from "./objective.ts";
import type { OutputTargets } from "./output-targets.ts";
import type { Task } from "./task.ts";

/** Weight of each class by its index; 1 for a class that is not named. */
export type WeightByIndex = Readonly<Record<string, number>>;

/**
 * @throws {UsageError} for a weight of a class, by name or index, that no output has, and where no output tells classes apart.
 */
export function requireKnownClasses(classWeight: Readonly<Record<string, number>>, { outputs }: Task): void {
  const classified = outputs.filter(({ kind }) => kind !== "values");
  const names = classified.flatMap(({ labels }) => labels ?? []);
  const count = Math.max(
    0,
    ...classified.map(({ units, labels }) => labels?.length ?? Math.max(2, units ?? 0)),
  );
  const strange = Object.keys(classWeight).find(
    (key) => !names.includes(key) && !(/^\d+$/.test(key) && Number(key) < count),
  );
  if (strange === undefined) return;
  const more = names.length > 20 ? ` and ${names.length - 20} more` : "";
  const classes =
    names.length > 0 ? ` Classes: ${names.slice(0, 20).join(", ")}${more}.` : ` There are ${count}.`;
  throw new UsageError(
    `${optionName("classWeight")} ${JSON.stringify(strange)}: expected a class of the data, got none of that name.${classes}`,
    "class-weight",
    "classWeight",
  );
}

/** Returns weights by class index for those of names or indices, or balanced over `labels`. */
export function classWeights(
  classWeight: "balanced" | Readonly<Record<string, number>>,
  classNames: readonly string[],
  labels: readonly number[],
): WeightByIndex {
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
      return [String(index), count === 0 ? 1 : labels.length / (classNames.length * count)];
    }),
  );
}

/**
 * Returns the class of each sample, or of each position where targets are per position: its value, or the place of its highest
 * where it has several (`class_weight_to_sample_weights` in `keras/src/trainers/data_adapters/data_adapter_utils.py`).
 */
export function classIndices(targets: Tensor, isIndices: boolean): number[] {
  const width = isIndices ? 1 : (targets.shape.at(-1) ?? 1);
  const data = toFloat32(targets);
  if (width > 1) return Array.from(highest({ shape: targets.shape, data }));
  return Array.from(data, Math.round);
}

/** Returns the targets with their weights times those of their classes, which count at every position that has a class. */
export function withClassWeights(
  { loss }: Pick<OutputObjective, "loss">,
  { targets, weights }: OutputTargets,
  byIndex: WeightByIndex,
): OutputTargets {
  const isIndices = loss?.targets === "indices";
  const classes = classIndices(targets, isIndices);
  const spare = !isIndices || (targets.shape.length > 1 && targets.shape.at(-1) === 1);
  const shape = spare && targets.shape.length > 1 ? targets.shape.slice(0, -1) : targets.shape;
  const own = weights ? weightPerValue({ shape: weights.shape, data: toFloat32(weights) }, shape) : () => 1;
  const product = classes.map((label, index) => (byIndex[String(label)] ?? 1) * own(index));
  return { targets, weights: float32Tensor(Float32Array.from(product), shape) };
}
