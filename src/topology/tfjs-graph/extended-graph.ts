import type { Checkpoint, Json, JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import type { Shape } from "../../tensor.ts";
import { layerGraph } from "../build-graph.ts";
import type { GraphLayer, GraphNode, LayerGraph, TensorRef } from "../layer-graph.ts";
import { layerLookup, tensorAt } from "../layer-graph.ts";
import { graphClass, graphModule } from "./graph-model.ts";

/** A constant of the graph with the source of its values: a weight of a layer, or a list of axes. */
export interface ExtendedConstant {
  readonly name: string;
  readonly from: { readonly layer: string; readonly weight: string } | { readonly axes: readonly number[] };
}

/** A TensorFlow graph for tfjs as in a model.json. */
export interface ExtendedGraph {
  readonly nodes: readonly JsonObject[];
  readonly signature: JsonObject;
  readonly constants: readonly ExtendedConstant[];
}

const className = `${graphModule}>${graphClass}`;

/** Returns the layer that is a tfjs graph, if any. */
function graphLayerOf(graph: LayerGraph): GraphLayer | undefined {
  return graph.layers.find((layer) => layer.className === className);
}

/**
 * Extends the model's tfjs graph by the layers after it: a global average, Dropout, and Dense with a linear, softmax,
 * sigmoid or relu activation.
 * @throws {TopologyError} naming a layer that is not one of these.
 */
export function extendedGraph(checkpoint: Checkpoint): ExtendedGraph {
  const graph = layerGraph(checkpoint);
  const layerOf = layerLookup(graph);
  const building: Building = { nodes: [], constants: [], outputs: new Map() };
  for (const node of graph.nodes) {
    const layer = layerOf(node.layer);
    const rule = rules[layer.className];
    if (!rule || (layer.className !== "InputLayer" && !behindGraph(building, node))) {
      throw new TopologyError(
        `${layer.path}: ${layer.className}: expected a GlobalAveragePooling2D, Dropout or Dense layer after the graph of a tfjs graph model, got another layer.`,
        "not-in-graph",
      );
    }
    rule(building, layer, node, graph);
  }
  return { nodes: building.nodes, constants: building.constants, signature: signatureOf(graph, building) };
}

/** The graph under construction. */
interface Building {
  readonly nodes: JsonObject[];
  readonly constants: ExtendedConstant[];
  /** Names of the output nodes of each call, by the index of the call. */
  readonly outputs: Map<number, readonly string[]>;
}

function behindGraph({ outputs }: Building, { inputs }: GraphNode): boolean {
  return inputs.every(({ node }) => outputs.has(node));
}

type Rule = (building: Building, layer: GraphLayer, node: GraphNode, graph: LayerGraph) => void;

const float: JsonObject = { type: "DT_FLOAT" };

const rules: Readonly<Record<string, Rule>> = {
  InputLayer: (building, layer, node, graph) => {
    const position = graph.inputs.findIndex(({ ref }) => ref.node === node.index);
    const names = (graphLayerOf(graph)?.config["inputs"] ?? []) as readonly string[];
    building.outputs.set(node.index, [names[position] ?? layer.name]);
  },
  [className]: (building, { path, config }, node) => {
    building.nodes.push(...((config["nodes"] ?? []) as readonly JsonObject[]));
    for (const { name } of (config["constants"] ?? []) as readonly { name: string }[]) {
      building.constants.push({ name, from: { layer: path, weight: name } });
    }
    building.outputs.set(node.index, config["outputs"] as readonly string[]);
  },
  GlobalAveragePooling2D: average,
  Dropout: (building, _layer, node) => {
    building.outputs.set(node.index, [inputOf(building, node)]);
  },
  Dense: dense,
};

function average(building: Building, { path, config }: GraphLayer, node: GraphNode): void {
  const { data_format: format = "channels_last", keepdims = false } = config;
  const scope = freeName(building, path);
  const axes = `${scope}/reduction_indices`;
  const first = format === "channels_first" ? 2 : 1;
  pushConstant(building, axes, "DT_INT32", [2], { axes: [first, first + 1] });
  const attr = { Tidx: { type: "DT_INT32" }, keep_dims: { b: keepdims } };
  const mean = pushOperation(building, scope, "Mean", [inputOf(building, node), axes], attr);
  building.outputs.set(node.index, [mean]);
}

function dense(building: Building, layer: GraphLayer, node: GraphNode, graph: LayerGraph): void {
  const { activation = "linear", use_bias: useBias = true, units } = layer.config;
  const operation = activationOps[String(activation)];
  const [ref] = node.inputs;
  const input = ref && tensorAt(graph, ref).shape;
  const features = input?.length === 2 ? input[1] : null;
  if (operation === undefined || typeof units !== "number" || features == null) {
    throw new TopologyError(
      `${layer.path}: Dense: expected a linear, softmax, sigmoid or relu activation and an input of rows of known length, got ${JSON.stringify(activation)} and ${JSON.stringify(input ?? null)}.`,
      "not-in-graph",
    );
  }
  const scope = freeName(building, layer.path);
  const variable = (weight: string, shape: readonly number[]): string =>
    pushConstant(building, `${scope}/${weight}`, "DT_FLOAT", shape, { layer: layer.path, weight });
  const apply = (op: string, inputs: readonly string[], attr: JsonObject = {}): string =>
    pushOperation(building, scope, op, inputs, attr);
  const product = apply("MatMul", [inputOf(building, node), variable("kernel", [features, units])], {
    transpose_a: { b: false },
    transpose_b: { b: false },
  });
  const sum =
    useBias === true
      ? apply("BiasAdd", [product, variable("bias", [units])], { data_format: { s: btoa("NHWC") } })
      : product;
  building.outputs.set(node.index, [operation === null ? sum : apply(operation, [sum])]);
}

/** Operations of the supported activations, null for linear. */
const activationOps: Readonly<Record<string, string | null>> = {
  linear: null,
  softmax: "Softmax",
  sigmoid: "Sigmoid",
  relu: "Relu",
};

function inputOf(building: Building, { inputs, layer }: GraphNode): string {
  const [ref] = inputs;
  if (!ref) throw new Error(`tfjs graph: ${layer} has no input`);
  return nameOf(building, ref);
}

/** Returns the name of the graph node that computes a tensor. */
function nameOf({ outputs }: Building, { node, output }: TensorRef): string {
  const name = outputs.get(node)?.[output];
  if (name === undefined) throw new Error(`tfjs graph: call ${node} has no output ${output}`);
  return name;
}

/** Adds an operation on floats and returns its name. */
function pushOperation(
  { nodes }: Building,
  scope: string,
  op: string,
  input: readonly string[],
  attr: JsonObject,
): string {
  const name = `${scope}/${op}`;
  nodes.push({ name, op, input, attr: { T: float, ...attr } });
  return name;
}

/** Adds a constant whose values are stored elsewhere and returns its name. */
function pushConstant(
  { nodes, constants }: Building,
  name: string,
  dtype: string,
  shape: readonly number[],
  from: ExtendedConstant["from"],
): string {
  const value = { tensor: { dtype, tensorShape: shapeJson(shape) } };
  nodes.push({ name, op: "Const", input: [], attr: { dtype: { type: dtype }, value } });
  constants.push({ name, from });
  return name;
}

function freeName({ nodes }: Building, wanted: string): string {
  const taken = new Set(nodes.map(({ name }) => String(name)));
  let name = wanted;
  const isTaken = (): boolean => [...taken].some((other) => other === name || other.startsWith(`${name}/`));
  for (let count = 1; isTaken(); count += 1) name = `${wanted}_${count}`;
  return name;
}

function signatureOf(graph: LayerGraph, building: Building): JsonObject {
  const endpoint = (name: string, shape: Shape | null, dtype: string): JsonObject => ({
    name: `${name}:0`,
    dtype,
    tensorShape: shape ? shapeJson(shape) : { unknownRank: true },
  });
  const entries = (ends: LayerGraph["inputs"]): JsonObject =>
    Object.fromEntries(
      ends.map(({ ref }): [string, Json] => {
        const { shape, dtype } = tensorAt(graph, ref);
        const name = nameOf(building, ref);
        return [name, endpoint(name, shape, dtype === "int32" ? "DT_INT32" : "DT_FLOAT")];
      }),
    );
  return { inputs: entries(graph.inputs), outputs: entries(graph.outputs) };
}

function shapeJson(shape: Shape): JsonObject {
  return { dim: shape.map((size) => ({ size: String(size ?? -1) })) };
}
