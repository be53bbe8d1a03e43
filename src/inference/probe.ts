import type { InputTensor } from "../tensor.ts";
import type { GraphNode, LayerGraph, TensorRef } from "../topology/layer-graph.ts";
import { layersByPath, refKey } from "../topology/layer-graph.ts";

const samples = 2;
/** Size that stands for a free dimension. */
const freeSize = 64;

/**
 * Two samples for each input of a model, the same at each call: values between -1 and 1, whole numbers that its Embeddings have
 * rows for, or words that it knows. Undefined where an input's shape is not known.
 */
export function probeInputs(graph: LayerGraph): InputTensor[] | undefined {
  const inputs = graph.inputs.map(({ ref }) => ({ ref, ...graph.nodes[ref.node]!.outputs[ref.output]! }));
  if (inputs.some(({ shape }) => shape === null)) return undefined;
  const words = graph.layers.flatMap(({ config }) => config["vocabulary"] ?? []).map(String);
  const next = uniform();
  const below = (bound: number): number => Math.floor(((next() + 1) / 2) * bound);
  return inputs.map(({ ref, shape, dtype }): InputTensor => {
    const [batch, ...rest] = shape!;
    const known = [batch ?? samples, ...rest.map((size) => size ?? (dtype === "string" ? 1 : freeSize))];
    const count = known.reduce((product, size) => product * size, 1);
    if (dtype === "string") {
      const text = (index: number): string =>
        Array.from({ length: 1 + 7 * (index % 2) }, () => words[below(words.length)] ?? "").join(" ");
      return { dtype, shape: known, data: Array.from({ length: count }, (_, index) => text(index)) };
    }
    const rows = rowsBehind(graph, ref);
    const value = rows === undefined ? next : () => below(rows);
    return { dtype: "float32", shape: known, data: Float32Array.from({ length: count }, value) };
  });
}

/** Returns the number of rows of the smallest Embedding that reads the input itself. */
function rowsBehind(graph: LayerGraph, input: TensorRef): number | undefined {
  const layers = layersByPath(graph);
  const reads = (node: GraphNode): boolean => node.inputs.some((ref) => refKey(ref) === refKey(input));
  const rows = graph.nodes.filter(reads).flatMap(({ layer }) => {
    const { className, config } = layers.get(layer)!;
    return className === "Embedding" ? [Number(config["input_dim"])] : [];
  });
  return rows.length > 0 ? Math.min(...rows) : undefined;
}

/** Numbers between -1 and 1. */
function uniform(): () => number {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}
