import { tf } from "../engine/tf.ts";
import { sizeAt } from "../tensor.ts";
import { layersByPath } from "../topology/layer-graph.ts";
import type { Program } from "./program.ts";

/**
 * The addends of a table's gradient, one for each time that a row was read: TensorFlow's `IndexedSlices`, which Keras 3
 * passes to its optimizers unchanged.
 */
export interface Addends {
  /** `[N, ...]`, float32. */
  readonly values: tf.Tensor;
  /** `[N]`, int32. */
  readonly rows: tf.Tensor;
}

/**
 * Returns the paths of layers whose trained table is read by its rows only, in models of Keras 3. Keras 2 adds the
 * addends up before its optimizers see a gradient.
 */
export function lookupTables(
  { graph, nodes }: Program,
  trainable: ReadonlyMap<string, readonly string[]>,
): ReadonlySet<string> {
  const layers = layersByPath(graph);
  const whole = new Set(nodes.filter(({ kwargs }) => "reverse" in kwargs).map(({ layer }) => layer));
  return new Set(
    [...trainable].flatMap(([path, names]) => {
      const layer = layers.get(path);
      const isTable = layer?.className === "Embedding" || layer?.className === "ReversibleEmbedding";
      const alone = names.length === 1 && names[0] === "embeddings";
      return isTable && alone && layer.keras === 3 && !whole.has(path) ? [path] : [];
    }),
  );
}

/**
 * Returns the addends of one call that read `indices` and whose output has the gradient `dy`. The caller keeps both.
 */
export function addendsOf(indices: tf.Tensor, dy: tf.Tensor): Addends {
  return tf.tidy(() => ({
    values: tf.reshape(dy, [-1, sizeAt(dy.shape, -1)]),
    rows: tf.cast(tf.reshape(indices, [-1]), "int32"),
  }));
}

/** Joins the addends of several calls. Takes ownership of them. */
export function joined(addends: readonly Addends[]): Addends {
  if (addends.length === 1) return addends[0]!;
  const whole = {
    values: tf.concat(addends.map(({ values }) => values)),
    rows: tf.concat(addends.map(({ rows }) => rows as tf.Tensor1D)),
  };
  for (const each of addends) disposeAddends(each);
  return whole;
}

/** Returns the gradient, `[rowCount, ...]`. */
export function sumOf({ values, rows }: Addends, rowCount: number): tf.Tensor {
  return tf.unsortedSegmentSum(values, rows as tf.Tensor1D, rowCount);
}

export function disposeAddends({ values, rows }: Addends): void {
  tf.dispose([values, rows]);
}
