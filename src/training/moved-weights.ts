/** @file The weights that training moves, on the engine. */
import type { Weight, Weights } from "../checkpoint.ts";
import { heldTensor, valuesOf } from "../engine/tensor-values.ts";
import { tf } from "../engine/tf.ts";
import { lazyTensor, withValues } from "../lazy-tensor.ts";
import type { LayerWeights } from "../model/uploads.ts";
import type { Snapshot } from "./snapshot.ts";
import type { TensorPlace } from "./tensor-mark.ts";
import { placeIn } from "./tensor-mark.ts";

/** Returns the weights that training moves, which stay the tail's, in the order of their names. */
export function movedTensors(
  weights: LayerWeights,
  names: ReadonlyMap<string, ReadonlySet<string>>,
): tf.Tensor[] {
  return [...names].flatMap(([path, own]) => [...own].map((name) => weights.get(path)![name]!));
}

/** Returns the places of the weights that training moves. */
export function movedPlaces(
  weights: LayerWeights,
  names: ReadonlyMap<string, ReadonlySet<string>>,
): TensorPlace[] {
  return [...names].flatMap(([path, own]) => [...own].map((name) => placeIn(weights.get(path)!, name)));
}

/** Returns the weights with their moving averages in place of those that have one. No tensor is copied. */
export function averagedWeights(
  weights: LayerWeights,
  average: (path: string, name: string) => tf.Tensor | undefined,
): LayerWeights {
  const averaged = (path: string, own: Record<string, tf.Tensor>): Record<string, tf.Tensor> =>
    Object.fromEntries(Object.entries(own).map(([name, value]) => [name, average(path, name) ?? value]));
  return new Map([...weights].map(([path, own]) => [path, averaged(path, own)]));
}

/** Returns the named weights without copying any: each is read off the engine when its values are asked for, as it is then. */
export function heldWeights(weights: LayerWeights, names: ReadonlyMap<string, ReadonlySet<string>>): Weights {
  const held = (path: string, name: string): Weight => {
    const { shape } = weights.get(path)![name]!;
    return lazyTensor({ name, dtype: "float32" as const, shape }, () => valuesOf(weights.get(path)![name]!));
  };
  return new Map([...names].map(([path, own]) => [path, [...own].map((name) => held(path, name))]));
}

/** Returns a copy of the named weights, held on the engine. */
export function snapshotOf(weights: LayerWeights, names: ReadonlyMap<string, ReadonlySet<string>>): Snapshot {
  const held = new Map(
    [...names].map(([path, own]) => [
      path,
      [...own].map((name) => ({ name, value: tf.keep(weights.get(path)![name]!.clone()) })),
    ]),
  );
  const weightsHeld = (): Weights =>
    new Map(
      [...held].map(([path, layer]) => [path, layer.map(({ name, value }) => heldTensor(value, { name }))]),
    );
  return {
    read: () => withValues(weightsHeld()),
    held: weightsHeld,
    dispose: () => tf.dispose([...held.values()].flatMap((layer) => layer.map(({ value }) => value))),
  };
}

/** Puts new values into a layer's record, which owns them, and releases the old ones. */
export function keepWeights(
  holder: Record<string, tf.Tensor>,
  state: Readonly<Record<string, tf.Tensor>>,
): void {
  for (const [name, value] of Object.entries(state)) {
    holder[name]?.dispose();
    holder[name] = tf.keep(value);
  }
}
