import { formatShape, sameShape } from "../../tensor.ts";
import type { WeightSpec } from "../../topology/layer-spec.ts";
import type { LayerSlots } from "../layer-slots.ts";
import {
  joinPlacements,
  type PlacedWeight,
  type Placement,
  placeInLayer,
  type StoredWeight,
} from "../stored-weights.ts";

/**
 * Assigns the weights in one group of an .h5 file to the layers that it holds: one layer, or all layers of a nested
 * model. They are matched by name, or, if the names do not tell the layers apart, by the order in which Keras writes
 * them, trainable weights first (`keras/src/legacy/saving/legacy_h5_format.py`, `_legacy_weights`).
 */
export function placeInGroup(
  group: string,
  layers: readonly LayerSlots[],
  stored: readonly StoredWeight[],
): Placement {
  const [only, ...others] = layers;
  const byName = only && others.length === 0 ? ownNames(only, stored) : placeByName(layers, stored);
  if (byName && byName.problems.length === 0) return byName;
  const byOrder = placeByOrder(layers, stored);
  if (byOrder) return byOrder;
  return (
    byName ?? {
      weights: new Map(),
      problems: [
        `${group}: its ${stored.length} weights (${stored[0]?.name ?? ""}, …) cannot be told apart by name or order`,
      ],
    }
  );
}

/** Assigns weights by their names relative to the layer, whatever models and scopes precede it. */
function ownNames(layer: LayerSlots, stored: readonly StoredWeight[]): Placement {
  return placeInLayer(
    layer,
    stored.map((weight) => ({ ...weight, name: below(layer.name, weight.name) ?? weight.name })),
  );
}

function placeByName(layers: readonly LayerSlots[], stored: readonly StoredWeight[]): Placement | undefined {
  const owned: { readonly owner: LayerSlots; readonly weight: StoredWeight }[] = [];
  for (const weight of stored) {
    const owner = ownerOf(layers, weight.name);
    const name = owner && below(owner.name, weight.name);
    if (!owner || name === undefined) return undefined;
    owned.push({ owner, weight: { ...weight, name } });
  }
  const weightsOf = (layer: LayerSlots): StoredWeight[] =>
    owned.flatMap(({ owner, weight }) => (owner === layer ? [weight] : []));
  return joinPlacements(layers.map((layer) => placeInLayer(layer, weightsOf(layer))));
}

/**
 * Returns the layer whose name is part of the weight's name. Of several, it is the one whose path agrees most;
 * undefined if two agree equally.
 */
function ownerOf(layers: readonly LayerSlots[], name: string): LayerSlots | undefined {
  let owner: LayerSlots | undefined;
  let best = -1;
  let tied = false;
  for (const layer of layers) {
    if (below(layer.name, name) === undefined) continue;
    // Of equal agreements the one counts with which the weight's name begins: `norm/gamma` is not that of `stage_0/norm`.
    const isFirst = name.startsWith(`${layer.path.slice(layer.path.indexOf("/") + 1)}/`);
    const agreement = agreedLength(layer.path, name) + (isFirst ? 0.5 : 0);
    if (agreement === best) tied = true;
    if (agreement > best) {
      owner = layer;
      best = agreement;
      tied = false;
    }
  }
  return tied ? undefined : owner;
}

/**
 * Returns the part behind the layer's name in a weight's name, undefined if the layer's name does not stand there
 * between slashes.
 */
function below(layer: string, name: string): string | undefined {
  const at = `/${name}`.indexOf(`/${layer}/`);
  return at < 0 ? undefined : name.slice(at + layer.length + 1);
}

/** Counts the characters of the longest end of `path` that stands in `name` between slashes. */
function agreedLength(path: string, name: string): number {
  const bounded = `/${name}`;
  for (let start = 0; ; ) {
    const end = path.slice(start);
    if (bounded.includes(`/${end}/`)) return end.length;
    const next = path.indexOf("/", start);
    if (next < 0) return 0;
    start = next + 1;
  }
}

interface Slot {
  readonly path: string;
  readonly spec: WeightSpec;
}

function placeByOrder(layers: readonly LayerSlots[], stored: readonly StoredWeight[]): Placement | undefined {
  const slots = legacyOrder(layers);
  if (slots?.length !== stored.length) return undefined;
  const pairs = stored.flatMap((weight, index) => {
    const slot = slots[index];
    return slot && sameShape(slot.spec.shape, weight.shape) ? [{ slot, weight }] : [];
  });
  if (pairs.length !== stored.length) return undefined;
  const placed = (path: string, { name }: WeightSpec): PlacedWeight[] =>
    pairs.flatMap(({ slot, weight }) =>
      slot.path === path && slot.spec.name === name ? [{ name, stored: weight }] : [],
    );
  const weights = new Map(
    layers.map(({ path, weights: specs }) => [path, (specs ?? []).flatMap((spec) => placed(path, spec))]),
  );
  return { weights, problems: [] };
}

/** Returns trainable weights in layer order, then the others; undefined if the weights of a layer are unknown. */
export function legacyOrder(layers: readonly LayerSlots[]): readonly Slot[] | undefined {
  const trainable: Slot[] = [];
  const others: Slot[] = [];
  for (const layer of layers) {
    if (!layer.weights) return undefined;
    for (const spec of layer.weights) {
      (layer.trainable && spec.trainable ? trainable : others).push({ path: layer.path, spec });
    }
  }
  return [...trainable, ...others];
}

/** Describes a weight for messages: `conv1/kernel [3,3,1,4]`. */
export function describeStored(weight: StoredWeight): string {
  return `${weight.name} ${formatShape(weight.shape)}`;
}
