import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import type { Json, JsonObject } from "../../src/checkpoint.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";
import type { LayerGraph } from "../../src/topology/layer-graph.ts";
import { graphFixture } from "../topology/graph-fixtures.ts";

/** A layer of a network built in a test. By default it is called once, on the output of the layer before it. */
export interface TinyLayer {
  readonly name: string;
  readonly className: string;
  readonly config?: JsonObject;
  /** Inputs of each call, by layer name. A shared layer has several calls. */
  readonly calls?: readonly (readonly string[])[];
  /** Keyword arguments of every call. */
  readonly kwargs?: JsonObject;
  readonly trainable?: boolean;
}

interface NetworkOptions {
  readonly outputs?: readonly string[];
  readonly kerasVersion?: string;
  readonly name?: string;
}

/** Creates the config of a functional model in Keras 2's dialect. */
export function network(
  layers: readonly TinyLayer[],
  { outputs, kerasVersion = "2.15.0", name = "net" }: NetworkOptions = {},
): { modelConfig: JsonObject; kerasVersion: string } {
  const entries = layers.map((layer, index): JsonObject => {
    const isInput = layer.className === "InputLayer";
    const calls = layer.calls ?? (isInput ? [] : [[layers[index - 1]!.name]]);
    return {
      name: layer.name,
      class_name: layer.className,
      config: { name: layer.name, trainable: layer.trainable ?? true, dtype: "float32", ...layer.config },
      inbound_nodes: calls.map((call) => call.map((source) => reference(source, layer.kwargs ?? {}))),
    };
  });
  const inputs = layers.filter((layer) => layer.className === "InputLayer").map((layer) => layer.name);
  return {
    kerasVersion,
    modelConfig: {
      class_name: "Functional",
      config: {
        name,
        layers: entries,
        input_layers: inputs.map((input) => [input, 0, 0]),
        output_layers: (outputs ?? [layers.at(-1)!.name]).map((output) => reference(output).slice(0, 3)),
      },
    },
  };
}

/** Creates a reference to an output: `x`, or `x#1` for the second call of x. */
function reference(source: string, kwargs: JsonObject = {}): Json[] {
  const [name, call = "0"] = source.split("#");
  return [name!, Number(call), 0, kwargs];
}

export function tinyGraph(layers: readonly TinyLayer[], options: NetworkOptions = {}): LayerGraph {
  return layerGraph(network(layers, options));
}

export const imageInput = (name = "image", size = 16): TinyLayer => ({
  name,
  className: "InputLayer",
  config: { batch_input_shape: [null, size, size, 3] },
});

type Rest = Omit<TinyLayer, "name" | "className">;

const convolution: JsonObject = { filters: 4, kernel_size: [3, 3], strides: [1, 1], padding: "same" };

export function conv(name: string, rest: Rest = {}): TinyLayer {
  return { ...rest, name, className: "Conv2D", config: { ...convolution, ...rest.config } };
}

/** Creates a convolution of stride 2, which halves the resolution. */
export function strided(name: string, rest: Rest = {}): TinyLayer {
  return conv(name, { ...rest, config: { strides: [2, 2], ...rest.config } });
}

export function norm(name: string, rest: Rest = {}): TinyLayer {
  return { ...rest, name, className: "BatchNormalization", config: { axis: [3], ...rest.config } };
}

export function layer(className: string, name: string, rest: Rest = {}): TinyLayer {
  return { ...rest, name, className };
}

export function dense(name: string, units = 3, rest: Rest = {}): TinyLayer {
  return { ...rest, name, className: "Dense", config: { units, activation: "softmax", ...rest.config } };
}

export const pool = (name = "pool"): TinyLayer => layer("GlobalAveragePooling2D", name);

/** Reads the graph of a model of keras.applications, built by the given version of Keras. */
export function application(name: string, kerasVersion = "3.15.1"): LayerGraph {
  return layerGraph(graphFixture(`keras-${kerasVersion}-${name}.json.gz`, name));
}

/** Reads a file of fixtures/freeze, which fixtures/make/freeze.py writes. */
export function freezeFixture<T>(name: string): T {
  const file = new URL(`../../fixtures/freeze/${name}.json.gz`, import.meta.url);
  return JSON.parse(gunzipSync(readFileSync(file)).toString()) as T;
}
