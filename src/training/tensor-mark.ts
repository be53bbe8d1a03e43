/** @file Tensors as they were at one moment, to go back to. */
import { tf } from "../engine/tf.ts";

/** A place that holds a tensor, which an update replaces by another. */
export interface TensorPlace {
  get(): tf.Tensor | undefined;
  set(tensor: tf.Tensor | undefined): void;
}

/** The tensors that some places held at one moment. No value is copied: the tensors are kept. */
export interface TensorMark {
  /** Puts the tensors back in place of those that are there now, which are released. */
  putBack(): void;
  /** Releases the tensors, where they are not needed any more. */
  release(): void;
}

/** Returns the place that a record has under a name. */
export function placeIn<K extends string>(
  record: { [name in K]?: tf.Tensor | undefined },
  name: K,
): TensorPlace {
  return {
    get: () => record[name],
    set: (tensor) => {
      record[name] = tensor;
    },
  };
}

/** Marks what the places hold now. Either function of the mark ends it. */
export function markTensors(places: readonly TensorPlace[]): TensorMark {
  const marked = places.map((place) => {
    const tensor = place.get()?.clone();
    return { place, tensor: tensor && tf.keep(tensor) };
  });
  return {
    putBack: () => {
      for (const { place, tensor } of marked) {
        place.get()?.dispose();
        place.set(tensor);
      }
    },
    release: () => {
      for (const { tensor } of marked) tensor?.dispose();
    },
  };
}
