/** @file The weights that training moves, on the engine. */
import type { Weight } from "../checkpoint.ts";
import { tf } from "../engine/tf.ts";
import type { LayerWeights } from "../model/uploads.ts";
import { float32Tensor } from "../tensor.ts";
import type { Snapshot } from "./snapshot.ts";

/** Returns a scalar that is 1 if all values are finite. */
export function allFinite(values: tf.Tensor): tf.Tensor {
  return tf.tidy(() => tf.all(tf.isFinite(values)));
}

/** Returns the weights that training moves, which stay the tail's, in the order of their names. */
export function movedTensors(
  weights: LayerWeights,
  names: ReadonlyMap<string, ReadonlySet<string>>,
): tf.Tensor[] {
  return [...names].flatMap(([path, own]) => [...own].map((name) => weights.get(path)![name]!));
}

/** Returns a copy of the named weights, held on the engine. */
export function snapshotOf(weights: LayerWeights, names: ReadonlyMap<string, ReadonlySet<string>>): Snapshot {
  const held = new Map(
    [...names].map(([path, own]) => [
      path,
      [...own].map((name) => ({ name, value: tf.keep(weights.get(path)![name]!.clone()) })),
    ]),
  );
  const read = ({ name, value }: { name: string; value: tf.Tensor }): Weight => ({
    name,
    ...float32Tensor(Float32Array.from(value.dataSync()), value.shape),
  });
  return {
    read: () => new Map([...held].map(([path, layer]) => [path, layer.map(read)])),
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
