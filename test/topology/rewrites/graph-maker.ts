import type { JsonObject, Weight, Weights } from "../../../src/checkpoint.ts";
import { tf } from "../../../src/engine/tf.ts";
import { programBetween } from "../../../src/model/program.ts";
import { runProgram } from "../../../src/model/run-program.ts";
import { disposeWeights, uploadWeights } from "../../../src/model/uploads.ts";
import type { Shape } from "../../../src/tensor.ts";
import { elementCount } from "../../../src/tensor.ts";
import type {
  Argument,
  GraphLayer,
  GraphNode,
  LayerGraph,
  TensorRef,
} from "../../../src/topology/layer-graph.ts";
import { outputSpecs, specOf } from "../../../src/topology/layer-specs.ts";
import { weightSpecsOf } from "../../../src/topology/weights-of.ts";

/** Creates a generator of numbers in [0, 1). Equal seeds give equal numbers. */
export function randomNumbers(seed: number): () => number {
  let state = Math.imul(seed + 1, 0x9e3779b1) >>> 0;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5) >>> 0;
    const mixed = Math.imul(state ^ (state >>> 13), 0x297a2d39);
    return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32;
  };
}

/** A graph that is built call by call. A layer that is called again is shared. */
export interface GraphMaker {
  input(shape: Shape): TensorRef;
  call(name: string, className: string, config: JsonObject, ...inputs: readonly TensorRef[]): TensorRef;
  again(name: string, ...inputs: readonly TensorRef[]): TensorRef;
  shape(ref: TensorRef): Shape;
  finish(...outputs: readonly TensorRef[]): LayerGraph;
}

export function graphMaker(): GraphMaker {
  const layers = new Map<string, GraphLayer>();
  const nodes: GraphNode[] = [];
  const append = (layer: GraphLayer, refs: readonly TensorRef[]): TensorRef => {
    const tensors = refs.map((ref): Argument => ({ kind: "tensor", ref }));
    const args: Argument[] = refs.length > 1 ? [{ kind: "list", items: tensors }] : tensors;
    const inputs = refs.map((ref) => nodes[ref.node]!.outputs[ref.output]!);
    const index = nodes.length;
    const outputs = outputSpecs(layer, { inputs, args, kwargs: {}, outputsRead: 1 });
    nodes.push({ index, layer: layer.path, args, kwargs: {}, inputs: refs, outputs });
    return { node: index, output: 0 };
  };
  const declare = (name: string, className: string, config: JsonObject): GraphLayer => {
    const layer: GraphLayer = {
      path: name,
      name,
      className,
      config: { name, ...specOf(className)?.defaults, ...config },
      keras: 3,
      trainable: true,
      containers: [],
      index: layers.size,
    };
    layers.set(name, layer);
    return layer;
  };
  return {
    input: (shape) => append(declare(`input_${nodes.length}`, "InputLayer", { batch_shape: shape }), []),
    call: (name, className, config, ...inputs) => append(declare(name, className, config), inputs),
    again: (name, ...inputs) => append(layers.get(name)!, inputs),
    shape: (ref) => nodes[ref.node]!.outputs[ref.output]!.shape!,
    finish: (...outputs) => ({
      name: "model",
      layers: [...layers.values()],
      nodes,
      inputs: nodes
        .filter((node) => node.inputs.length === 0)
        .map((node) => ({ name: node.layer, ref: { node: node.index, output: 0 } })),
      outputs: outputs.map((ref) => ({ name: nodes[ref.node]!.layer, ref })),
    }),
  };
}

/** Builds the graph that `make` writes, with the tensors that it returns as outputs. */
export function built(make: (g: GraphMaker) => TensorRef | TensorRef[]): LayerGraph {
  const g = graphMaker();
  return g.finish(...[make(g)].flat());
}

/**
 * Draws weights that a trained model could have: positive variances, and statistics and scales other than the defaults.
 */
export function randomWeights(graph: LayerGraph, seed: number): Weights {
  const random = randomNumbers(seed);
  return new Map(
    [...weightSpecsOf(graph)].map(([path, specs]) => [
      path,
      specs.map(({ name, shape }): Weight => {
        const fan = Math.max(1, elementCount(shape.slice(0, -1)));
        const value: Record<string, () => number> = {
          gamma: () => 0.5 + random(),
          moving_variance: () => 0.25 + random(),
          variance: () => 0.25 + random(),
        };
        const next = value[name] ?? (() => (random() * 2 - 1) * Math.sqrt(3 / fan));
        return {
          name,
          dtype: "float32",
          shape,
          data: Float32Array.from({ length: elementCount(shape) }, next),
        };
      }),
    ]),
  );
}

/**
 * Draws values in [-1, 1] for each input of the graph. An unknown batch size is 2, other unknown dimensions are `free`.
 */
export function randomInputs(graph: LayerGraph, seed: number, free = 9): tf.Tensor[] {
  const random = randomNumbers(seed);
  return graph.inputs.map(({ ref }) => {
    const shape = graph.nodes[ref.node]!.outputs[0]!.shape!.map(
      (size, axis) => size ?? (axis === 0 ? 2 : free),
    );
    return tf.tensor(
      Float32Array.from({ length: elementCount(shape) }, () => random() * 2 - 1),
      shape,
    );
  });
}

/** Returns the tensors at `refs` for these inputs in inference, one for each reference. The caller disposes them. */
export function valuesAt(
  graph: LayerGraph,
  weights: Weights,
  inputs: readonly tf.Tensor[],
  refs: readonly TensorRef[],
): tf.Tensor[] {
  const program = programBetween(
    graph,
    graph.inputs.map((input) => input.ref),
    refs,
  );
  const uploaded = uploadWeights(
    weights,
    program.nodes.map((node) => node.layer),
  );
  const values = runProgram(program, inputs, uploaded);
  disposeWeights(uploaded);
  const own = values.map((value) => value.clone());
  tf.dispose(values);
  return own;
}

export function outputRefs(graph: LayerGraph): readonly TensorRef[] {
  return graph.outputs.map((output) => output.ref);
}

/** Returns the largest difference relative to the largest value, and disposes both tensors. */
export function relativeDifference(actual: tf.Tensor, expected: tf.Tensor): number {
  if (actual.shape.join() !== expected.shape.join()) return Number.POSITIVE_INFINITY;
  const got = actual.dataSync();
  const wanted = expected.dataSync();
  let difference = 0;
  let largest = 0;
  for (let at = 0; at < wanted.length; at += 1) {
    const apart = Math.abs(got[at]! - wanted[at]!);
    difference = Number.isNaN(apart) ? Number.POSITIVE_INFINITY : Math.max(difference, apart);
    largest = Math.max(largest, Math.abs(wanted[at]!));
  }
  tf.dispose([actual, expected]);
  return largest === 0 ? difference : difference / largest;
}

/** Lists the class names of the calls in order. */
export function classNames(graph: LayerGraph): string[] {
  const classes = new Map(graph.layers.map((layer) => [layer.path, layer.className] as const));
  return graph.nodes.map((node) => classes.get(node.layer)!);
}
