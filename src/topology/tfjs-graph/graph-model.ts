import type { Json, JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import type { Shape } from "../../tensor.ts";
import { isObject } from "../config-values.ts";
import { layersOf } from "../edit-config.ts";
import { denseTail } from "./dense-tail.ts";
import { type GraphNodeJson, graphNodes, nodeName, nodesBefore } from "./graph-node.ts";

/** Module and class of the layer that holds a graph. Keras does not have such a layer. */
export const graphModule = "tfjs";
export const graphClass = "GraphModel";

/** Returns whether the model has a layer that is a tfjs graph. */
export function holdsGraph(modelConfig: JsonObject): boolean {
  return (layersOf(modelConfig) ?? []).some(
    (layer) => isObject(layer) && layer["module"] === graphModule && layer["class_name"] === graphClass,
  );
}

/** A constant of a graph. */
export interface GraphConstant {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: string;
}

/** A graph as a Keras model: one layer that is the graph, followed by the Dense layer that the graph ended in. */
export interface GraphAsModel {
  readonly modelConfig: JsonObject;
  /** Names of the constants that are the layers' weights, by layer and name of the weight. */
  readonly weights: ReadonlyMap<string, ReadonlyMap<string, string>>;
}

/**
 * Converts a tfjs graph model to a Keras config. The graph's own layer cannot train because it has constants and no
 * variables.
 * @param topology The `modelTopology` of the model.json, a GraphDef.
 * @param signature Names, dtypes and shapes of the inputs and outputs.
 * @throws {TopologyError} if the dtype or shape of an input or output is unknown or not supported.
 */
export function graphAsModel(
  topology: JsonObject,
  signature: JsonObject | undefined,
  constants: readonly GraphConstant[],
): GraphAsModel {
  const nodes = graphNodes(topology["node"]);
  const inputs = inputsOf(nodes, signature);
  const outputs = outputsOf(nodes, signature);
  const byName = new Map(constants.map((constant) => [constant.name, constant]));
  const [only] = outputs;
  const tail = outputs.length === 1 && only ? denseTail(nodes, only.node) : undefined;
  const kernel = tail && (byName.get(tail.kernel) ?? missing(tail.kernel));
  const [features = null, units = null] = kernel?.shape ?? [];
  const ends: readonly Endpoint[] = tail ? [{ node: tail.features, shape: [null, features] }] : outputs;
  const trunk = nodesBefore(
    nodes,
    ends.map(({ node }) => node),
  );
  const needed = trunk
    .filter(({ op }) => op === "Const")
    .map(({ name }) => byName.get(name) ?? missing(name));
  const graph = graphEntry(trunk, inputs, ends, needed);
  const weights = new Map([["graph", new Map(needed.map(({ name }) => [name, name]))]]);
  const layers = [...inputs.map(inputEntry), graph];
  if (!tail) return { modelConfig: functional(layers, inputs, "graph", ends.length), weights };
  const name = tail.layer === "graph" ? "predictions" : tail.layer;
  weights.set(
    name,
    new Map([["kernel", tail.kernel], ...(tail.bias === undefined ? [] : [["bias", tail.bias] as const])]),
  );
  layers.push({
    module: "keras.layers",
    class_name: "Dense",
    config: {
      name,
      trainable: true,
      dtype: "float32",
      units,
      activation: tail.activation,
      use_bias: tail.bias !== undefined,
    },
    registered_name: null,
    name,
    inbound_nodes: [{ args: [tensorJson("graph", [null, features])], kwargs: {} }],
  });
  return { modelConfig: functional(layers, inputs, name, 1), weights };
}

function missing(name: string): never {
  throw new TopologyError(
    `graph: constant ${name}: expected its values among the weights, got none.`,
    "graph-constant",
  );
}

/** An input or output of the graph. */
interface Endpoint {
  readonly node: string;
  readonly shape: Shape;
}

interface Input extends Endpoint {
  readonly name: string;
  readonly dtype: string;
}

const dtypes: Readonly<Record<string, string>> = { DT_FLOAT: "float32", DT_INT32: "int32" };

function inputsOf(nodes: readonly GraphNodeJson[], signature: JsonObject | undefined): readonly Input[] {
  const declared = endpoints(signature, "inputs");
  const placeholders = nodes.filter(({ op }) => op === "Placeholder");
  const inputs = placeholders.map(({ name, attr }): Input => {
    const own = isObject(attr["shape"]) ? shapeOf(attr["shape"]["shape"]) : undefined;
    const shape = declared.find(({ node }) => node === name)?.shape ?? own;
    const type = isObject(attr["dtype"]) ? String(attr["dtype"]["type"]) : "";
    const dtype = dtypes[type];
    if (!shape || !dtype) {
      throw new TopologyError(
        `graph: input ${name}: expected float32 or int32 and a rank, got ${type || "no dtype"} and ${JSON.stringify(shape ?? null)}.`,
        "graph-input",
      );
    }
    const [batch = null] = shape;
    if (batch !== null) {
      throw new TopologyError(
        `graph: input ${name}: expected a variable batch size, got ${batch}. Convert the model with an unknown batch dimension.`,
        "graph-input",
      );
    }
    return { node: name, name: name.replaceAll(/[/:]/g, "_"), shape, dtype };
  });
  if (inputs.length > 0) return inputs;
  throw new TopologyError("graph: inputs: expected a Placeholder, got none.", "graph-input");
}

function outputsOf(nodes: readonly GraphNodeJson[], signature: JsonObject | undefined): readonly Endpoint[] {
  const declared = endpoints(signature, "outputs");
  const read = new Set(nodes.flatMap(({ input }) => input.map(nodeName)));
  const ends =
    declared.length > 0
      ? declared
      : nodes.filter(({ name }) => !read.has(name)).map(({ name }) => ({ node: name, shape: undefined }));
  return ends.map(({ node, shape }) => {
    if (shape) return { node, shape };
    throw new TopologyError(
      `graph: output ${node}: expected its shape in the signature, got none. Convert the model from a SavedModel or a Keras file.`,
      "graph-output",
    );
  });
}

function endpoints(
  signature: JsonObject | undefined,
  key: "inputs" | "outputs",
): readonly { node: string; shape: Shape | undefined }[] {
  const entries = signature?.[key];
  if (!isObject(entries)) return [];
  return Object.entries(entries).flatMap(([name, entry]) =>
    isObject(entry)
      ? [{ node: nodeName(String(entry["name"] ?? name)), shape: shapeOf(entry["tensorShape"]) }]
      : [],
  );
}

/** Reads a shape in the form `{ dim: [{ size: "-1" }, …] }`. */
function shapeOf(json: Json | undefined): Shape | undefined {
  if (!isObject(json) || json["unknownRank"] === true || !Array.isArray(json["dim"])) return undefined;
  const dims: readonly Json[] = json["dim"];
  return dims.map((dim) => {
    const size = isObject(dim) ? Number(dim["size"] ?? -1) : -1;
    return size < 0 ? null : size;
  });
}

function inputEntry({ name, shape, dtype }: Input): JsonObject {
  const config = { name, batch_shape: [...shape], dtype };
  return {
    module: "keras.layers",
    class_name: "InputLayer",
    config,
    registered_name: null,
    name,
    inbound_nodes: [],
  };
}

function graphEntry(
  nodes: readonly GraphNodeJson[],
  inputs: readonly Input[],
  outputs: readonly Endpoint[],
  constants: readonly GraphConstant[],
): JsonObject {
  const tensors = inputs.map(({ name, shape }) => tensorJson(name, shape));
  return {
    module: graphModule,
    class_name: graphClass,
    config: {
      name: "graph",
      trainable: false,
      dtype: "float32",
      nodes: nodes.map((node) => ({ ...node })),
      inputs: inputs.map(({ node }) => node),
      outputs: outputs.map(({ node }) => node),
      output_shapes: outputs.map(({ shape }) => [...shape]),
      constants: constants.map(({ name, shape, dtype }) => ({ name, shape: [...shape], dtype })),
    },
    registered_name: null,
    name: "graph",
    inbound_nodes: [{ args: tensors.length === 1 ? tensors : [tensors], kwargs: {} }],
  };
}

function tensorJson(layer: string, shape: Shape): JsonObject {
  return {
    class_name: "__keras_tensor__",
    config: { shape: [...shape], dtype: "float32", keras_history: [layer, 0, 0] },
  };
}

function functional(
  layers: readonly JsonObject[],
  inputs: readonly Input[],
  last: string,
  outputs: number,
): JsonObject {
  const ends = Array.from({ length: outputs }, (_, index): Json => [last, 0, index]);
  return {
    module: "keras",
    class_name: "Functional",
    config: {
      name: "graph_model",
      trainable: true,
      layers: [...layers],
      input_layers: inputs.map(({ name }) => [name, 0, 0]),
      output_layers: ends,
    },
    registered_name: "Functional",
  };
}
