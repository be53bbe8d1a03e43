import type { Checkpoint, Weight } from "../checkpoint.ts";
import { registrationCount } from "../topology/custom-layers.ts";
import { placeNumbered } from "./keras/variable-groups.ts";
import { type LayerSlots, layerSlots } from "./layer-slots.ts";
import { placeInLayer, refuseProblems, type StoredWeight } from "./stored-weights.ts";

/**
 * Returns the checkpoint with its weights named as the layers name them. Weights of a layer that was unknown when the file
 * was read, and of the layers behind it, have the names or numbers of the file until their class is registered.
 * @throws {KerasFileError} listing the weights that do not fit the registered class.
 */
export function withNamedWeights(checkpoint: Checkpoint): Checkpoint {
  if (registrationCount() === 0) return checkpoint;
  const slots = layerSlots(checkpoint);
  const renamed = new Map<string, readonly Weight[]>();
  const problems: string[] = [];
  for (const [path, weights] of checkpoint.weights) {
    const slot = slots.get(path);
    if (!slot?.weights || !isUnnamed(slot, weights)) continue;
    const stored = weights.map((weight): StoredWeight => ({ ...weight, read: () => weight }));
    const isNumbered = weights.some(({ name }) => /(^|\/)vars\/\d+$/.test(name));
    const placement = isNumbered ? placeNumbered(slot, slot.weights, stored) : placeInLayer(slot, stored);
    if (!isNumbered && placement.problems.length > 0) continue;
    problems.push(...placement.problems);
    const placed = placement.weights.get(path) ?? [];
    renamed.set(
      path,
      placed.map(({ name, stored: own }) => ({ ...own.read(), name })),
    );
  }
  refuseProblems(problems, "checkpoint");
  return renamed.size === 0
    ? checkpoint
    : { ...checkpoint, weights: new Map([...checkpoint.weights, ...renamed]) };
}

function isUnnamed({ weights: specs = [] }: LayerSlots, weights: readonly Weight[]): boolean {
  const names = new Set(specs.map(({ name }) => name));
  return weights.some(({ name }) => !names.has(name));
}
