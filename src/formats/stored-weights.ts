import type { Weight, Weights } from "../checkpoint.ts";
import { KerasFileError } from "../errors.ts";
import type { Hdf5Dataset } from "../hdf5/dataset.ts";
import { type DType, formatShape, sameShape, type Tensor } from "../tensor.ts";
import type { WeightSpec } from "../topology/layer-spec.ts";
import type { LayerSlots } from "./layer-slots.ts";
import type { ReadValues } from "./read-values.ts";
import { keptAs } from "./read-values.ts";

/** A weight in a file that is read on demand. */
export interface StoredWeight {
  /** Name in the file, without `:0`. */
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  read(): Tensor;
}

/** A stored weight under the name that its layer gives it. */
export interface PlacedWeight {
  readonly name: string;
  readonly stored: StoredWeight;
}

/** Stored weights by layer path, with a sentence for each weight that does not fit. */
export interface Placement {
  readonly weights: ReadonlyMap<string, readonly PlacedWeight[]>;
  readonly problems: readonly string[];
}

export function storedWeight(name: string, dataset: Hdf5Dataset): StoredWeight {
  return { name, dtype: dataset.dtype, shape: dataset.shape, read: () => dataset.read() };
}

/**
 * Reads the placed weights, or only their names, shapes and dtypes if `values` is false.
 * @throws {KerasFileError} listing the first five weights that do not fit.
 */
export function readPlaced(placement: Placement, values: ReadValues, label: string): Weights {
  refuseProblems(placement.problems, label);
  const weights = new Map<string, readonly Weight[]>();
  for (const [path, placed] of placement.weights) {
    if (placed.length === 0) continue;
    weights.set(
      path,
      placed.map(({ name, stored }) =>
        values === false
          ? { name, ...withoutValues(stored) }
          : keptAs(values, path, { name, ...stored.read() }),
      ),
    );
  }
  return weights;
}

/** Refuses weights that do not fit. @throws {KerasFileError} if there are any, listing the first five. */
export function refuseProblems(problems: readonly string[], label: string): void {
  if (problems.length === 0) return;
  const shown = problems.slice(0, 5).join("; ");
  const rest = problems.length > 5 ? `; and ${problems.length - 5} more` : "";
  const count = problems.length === 1 ? "1 weight does" : `${problems.length} weights do`;
  throw new KerasFileError(`${label}: ${count} not fit the model: ${shown}${rest}.`, "weights");
}

function withoutValues(stored: StoredWeight): Tensor {
  const { dtype, shape } = stored;
  return { dtype, shape, data: new Uint8Array(0) };
}

/**
 * Assigns a layer's stored weights to its slots: by name, or else by order, with shapes checked.
 * @param stored Everything the file has for this layer, named relative to the layer: `kernel`,
 * `forward_lstm/lstm_cell/kernel`.
 */
export function placeInLayer(slots: LayerSlots, stored: readonly StoredWeight[]): Placement {
  const { path, weights: specs } = slots;
  if (!specs)
    return {
      weights: new Map([[path, stored.map((weight) => ({ name: weight.name, stored: weight }))]]),
      problems: [],
    };
  const byName = specs.map((spec) => named(spec, stored));
  const allNamed = byName.every((weight) => weight !== undefined) && new Set(byName).size === stored.length;
  if (
    !allNamed &&
    stored.length === specs.length &&
    specs.every((spec, index) => fits(spec, stored[index]!))
  ) {
    return placed(path, specs, stored);
  }
  const problems: string[] = [];
  specs.forEach((spec, index) => {
    const weight = byName[index];
    if (!weight) problems.push(`${path}/${spec.name} ${formatShape(spec.shape)} is missing`);
    else if (!fits(spec, weight)) {
      problems.push(
        `${path}/${spec.name}: expected shape ${formatShape(spec.shape)}, got ${formatShape(weight.shape)}`,
      );
    }
  });
  const known = new Set(byName);
  for (const weight of stored) {
    if (!known.has(weight))
      problems.push(
        `${path}/${weight.name} ${formatShape(weight.shape)} is in the file but not in the model`,
      );
  }
  return { ...placed(path, specs, byName), problems };
}

function placed(
  path: string,
  specs: readonly WeightSpec[],
  stored: readonly (StoredWeight | undefined)[],
): Placement {
  const weights = specs.flatMap((spec, index) => {
    const weight = stored[index];
    return weight ? [{ name: spec.name, stored: weight }] : [];
  });
  return { weights: new Map([[path, weights]]), problems: [] };
}

function fits(spec: WeightSpec, weight: StoredWeight): boolean {
  return sameShape(spec.shape, weight.shape);
}

/** Finds the one stored weight that has the spec's name, entirely or as the last part of a longer name. */
function named(spec: WeightSpec, stored: readonly StoredWeight[]): StoredWeight | undefined {
  const names = [spec.name, ...(spec.formerNames ?? [])];
  const whole = stored.find((weight) => names.includes(weight.name));
  if (whole) return whole;
  const last = names.map(lastPart);
  const ending = stored.filter((weight) => last.includes(lastPart(weight.name)));
  return ending.length === 1 ? ending[0] : undefined;
}

function lastPart(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1);
}

/** Joins placements into one. */
export function joinPlacements(placements: Iterable<Placement>): Placement {
  const weights = new Map<string, readonly PlacedWeight[]>();
  const problems: string[] = [];
  for (const placement of placements) {
    for (const [path, placedWeights] of placement.weights) weights.set(path, placedWeights);
    problems.push(...placement.problems);
  }
  return { weights, problems };
}
