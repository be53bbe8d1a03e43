/** @file The places that values which are not finite come from. */
import { takeScalars } from "../engine/scalars.ts";
import { tf } from "../engine/tf.ts";
import { readsLater, repeatable } from "../engine/webgpu/repeatable.ts";
import type { Program } from "../model/program.ts";
import { programBetween } from "../model/program.ts";
import { runProgram } from "../model/run-program.ts";
import type { LayerWeights } from "../model/uploads.ts";
import type { GraphLayer } from "../topology/layer-graph.ts";
import { layerAt } from "../topology/layer-graph.ts";
import { movedTensors } from "./moved-weights.ts";

/** Returns the layer whose output is the first that is not finite for these features, null if none is. */
export async function firstNonFiniteLayer(
  { graph, inputs, nodes }: Program,
  features: readonly tf.Tensor[],
  weights: LayerWeights,
): Promise<GraphLayer | null> {
  for (const node of nodes) {
    const upTo = programBetween(graph, inputs, [{ node: node.index, output: 0 }]);
    const values = await repeatable(() => runProgram(upTo, features, weights));
    const [flag] = await takeScalars(values.map(allFinite));
    tf.dispose(values);
    if (flag !== 1) return layerAt(graph, node.layer);
  }
  return null;
}

/** Returns `layer/weight` of the first of the named weights with values that are not finite, null if there is none. */
export async function firstNonFiniteWeight(
  weights: LayerWeights,
  named: ReadonlyMap<string, ReadonlySet<string>>,
): Promise<string | null> {
  const tensors = movedTensors(weights, named);
  const isRead = ({ size }: tf.Tensor): boolean => size <= fewValues && !readsLater();
  const flags = await takeScalars(tensors.filter((tensor) => !isRead(tensor)).map(allFinite));
  const index = tensors.findIndex((tensor) =>
    isRead(tensor) ? !tensor.dataSync().every(Number.isFinite) : flags.shift() !== 1,
  );
  const names = [...named].flatMap(([path, own]) => [...own].map((name) => `${path}/${name}`));
  return names[index] ?? null;
}

/** Values that are read off the engine faster than its kernels look at them. */
const fewValues = 4096;

/** Returns a scalar that is 1 if all values are finite. */
function allFinite(values: tf.Tensor): tf.Tensor {
  return tf.tidy(() => tf.all(tf.isFinite(values)));
}
