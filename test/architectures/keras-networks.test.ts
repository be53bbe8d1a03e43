import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { publishedFile } from "../../src/architectures/architecture.ts";
import { architectureOf, knownArchitectures } from "../../src/architectures/known.ts";
import type { Json, JsonObject } from "../../src/checkpoint.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";
import { weightSpecsOf } from "../../src/topology/weights-of.ts";

/**
 * A layer with its arguments that are not defaults and the layers it is called on (fixtures/make/architectures.py).
 */
type KerasLayer = readonly [className: string, name: string, config: Json, given: Json];

interface KerasNetwork {
  readonly model: string;
  readonly parameters: number;
  readonly layers: readonly KerasLayer[];
  readonly withoutTop: {
    readonly parameters: number;
    readonly missing: readonly string[];
    readonly others: readonly KerasLayer[];
  };
}

const folder = new URL("../../fixtures/architectures/", import.meta.url);
const networks = JSON.parse(
  gunzipSync(readFileSync(new URL("keras-3.15.1.json.gz", folder))).toString(),
) as Record<string, KerasNetwork>;

function entriesOf(model: JsonObject): readonly JsonObject[] {
  return (model["config"] as JsonObject)["layers"] as readonly JsonObject[];
}

function described(entry: JsonObject): KerasLayer {
  const config = entry["config"] as JsonObject;
  const op = String(entry["module"]).startsWith("keras.src.ops");
  const [node] = (entry["inbound_nodes"] ?? []) as readonly JsonObject[];
  return [
    `${op ? "ops." : ""}${entry["class_name"]}`,
    String(config["name"]),
    entry["class_name"] === "Sequential" ? entriesOf(entry).map(described) : argumentsOf(config),
    node ? givenTo(node["args"]!) : [],
  ];
}

/** Removes the arguments that every layer has. */
function argumentsOf(config: JsonObject): JsonObject {
  const { name: _name, trainable: _trainable, dtype: _dtype, ...rest } = config;
  return withoutModules(
    Object.fromEntries(
      Object.entries(rest).filter(([key, value]) => !(key === "data_format" && value === "channels_last")),
    ),
  ) as JsonObject;
}

function withoutModules(value: Json): Json {
  if (Array.isArray(value)) return value.map(withoutModules);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value as JsonObject);
  return Object.fromEntries(
    entries
      .filter(([key]) => key !== "module" && key !== "registered_name")
      .map(([key, item]) => [key, withoutModules(item)]),
  );
}

function givenTo(value: Json): Json {
  if (Array.isArray(value)) return value.map(givenTo);
  if (typeof value !== "object" || value === null) return value;
  return ((value as JsonObject)["config"] as { keras_history: readonly Json[] }).keras_history[0]!;
}

function parameters(modelConfig: JsonObject): number {
  const specs = weightSpecsOf(layerGraph({ modelConfig, kerasVersion: "3.15.1" }));
  return [...specs.values()].flat().reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
}

test("the known architectures are exactly those of keras.applications", () => {
  const known = knownArchitectures().map(({ name }) => name);
  expect(known.sort()).toEqual(
    Object.keys(networks)
      .map((name) => name.toLowerCase())
      .sort(),
  );
});

describe.each(Object.entries(networks))("%s", (name, network) => {
  test("the network has Keras's layers in Keras's order, called as in Keras", () => {
    const model = architectureOf(name)!.build(publishedFile(1000));
    expect((model["config"] as JsonObject)["name"]).toBe(network.model);
    expect(entriesOf(model).map(described)).toEqual(network.layers);
    expect(parameters(model)).toBe(network.parameters);
  });

  test("the network without its top has the layers of Keras's network without its top", () => {
    const model = architectureOf(name)!.build(publishedFile(null));
    const layers = entriesOf(model).map(described);
    const names = new Set(layers.map(([, layer]) => layer));
    const whole = network.layers.map(([, layer]) => layer);
    expect(whole.filter((layer) => !names.has(layer))).toEqual(network.withoutTop.missing);
    const others = new Map(network.withoutTop.others.map((layer) => [layer[1], layer]));
    const same = new Map(network.layers.map((layer) => [layer[1], layer]));
    for (const layer of layers) expect(layer).toEqual(others.get(layer[1]) ?? same.get(layer[1]));
    expect(parameters(model)).toBe(network.withoutTop.parameters);
  });
});

test("an EfficientNet file with ImageNet's means gets the second Rescaling that Keras adds for ImageNet weights", () => {
  const text = readFileSync(new URL("imagenet-3.15.1.json", folder), "utf8");
  const { EfficientNetB0: expected } = JSON.parse(text) as Record<string, readonly KerasLayer[]>;
  const file = { ...publishedFile(1000), values: () => [0.485, 0.456, 0.406] };
  const layers = entriesOf(architectureOf("efficientnetb0")!.build(file)).map(described);
  expect(layers.slice(0, expected!.length)).toEqual(expected);
});
