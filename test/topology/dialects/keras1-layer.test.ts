import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import type { Json, JsonObject } from "../../../src/checkpoint.ts";
import { keras2Layer } from "../../../src/topology/dialects/keras1-layer.ts";

/**
 * A layer of Keras 1 with its config in Keras 2.2.4, null if that version cannot read it
 * (fixtures/make/keras1_layers.py).
 */
interface LayerCase {
  readonly class_name: string;
  readonly config: JsonObject;
  readonly keras2: JsonObject | null;
}

const cases: readonly LayerCase[] = JSON.parse(
  gunzipSync(readFileSync("fixtures/dialects/keras1-layers.json.gz")).toString(),
);

const read = cases.filter(({ keras2 }) => keras2 !== null);

interface Layer {
  readonly class_name: string;
  readonly config: JsonObject;
}

/**
 * Returns our config of the layer and the entries of Keras 2's config with the same keys, for a wrapper also of its
 * layer.
 */
function sideBySide(own: JsonObject, theirs: JsonObject): { own: JsonObject; theirs: JsonObject } {
  const { layer, ...rest } = own;
  const among = Object.fromEntries(Object.keys(rest).map((key) => [key, theirs[key]!]));
  if (layer === undefined) return { own: rest, theirs: among };
  const [inner, wanted] = [layer, theirs["layer"]].map((entry) => entry as unknown as Layer) as [
    Layer,
    Layer,
  ];
  const inside = sideBySide(inner.config, wanted.config);
  return {
    own: { ...rest, layer: inside.own, class_name: inner.class_name },
    theirs: { ...among, layer: inside.theirs, class_name: wanted.class_name },
  };
}

/**
 * Normalizes a value: rounds numbers to float32, in which Keras 2 keeps some, and expands padding given as one number.
 */
function plain(json: Json, key = ""): Json {
  if (typeof json === "number") return key === "padding" ? plain([json, json], key) : Math.fround(json);
  if (Array.isArray(json)) {
    const items = (json as readonly Json[]).map((item) => plain(item));
    return key === "padding" ? items.map((item) => (typeof item === "number" ? [item, item] : item)) : items;
  }
  if (json === null || typeof json !== "object") return json;
  return Object.fromEntries(Object.entries(json).map(([name, value]) => [name, plain(value, name)]));
}

describe.each(read)("$class_name $config.name", ({ class_name, config, keras2 }) => {
  test("every argument exists in Keras 2 and has the value that Keras 2.2.4 reads", () => {
    const { own, theirs } = sideBySide(keras2Layer(class_name, config, "layer").config, keras2!);
    expect(plain(own)).toEqual(plain(theirs));
  });
});

test("the fixture has every layer of Keras 1 whose arguments differ in Keras 2", () => {
  const classes = new Set(cases.map((layer) => layer.class_name));
  for (const name of [
    "Convolution1D",
    "Convolution2D",
    "Convolution3D",
    "AtrousConvolution1D",
    "AtrousConvolution2D",
    "SeparableConvolution2D",
    "ConvLSTM2D",
    "MaxPooling1D",
    "UpSampling1D",
    "Embedding",
    "BatchNormalization",
    "SimpleRNN",
    "GRU",
    "LSTM",
    "Dropout",
    "GaussianNoise",
    "PReLU",
  ]) {
    expect(classes).toContain(name);
  }
});

describe("features that Keras 2 dropped", () => {
  const refused: readonly (readonly [string, JsonObject])[] = [
    ["BatchNormalization", { mode: 1 }],
    ["BatchNormalization", { mode: 2 }],
    ["Convolution2D", { nb_filter: 1, nb_row: 2, nb_col: 2, border_mode: "full" }],
    ["Dense", { output_dim: 1, W_regularizer: { name: "EigenvalueRegularizer", k: 0.1 } }],
  ];
  test.each(refused)("%s with %j is refused by its path", (className, config) => {
    expect(() => keras2Layer(className, config, "block/odd")).toThrow(/^block\/odd: .*no such feature/);
  });
});

describe("the Merge layer of Keras 1", () => {
  test.each([
    [{ mode: "sum" }, "Add", {}],
    [{ mode: "mul" }, "Multiply", {}],
    [{ mode: "ave" }, "Average", {}],
    [{ mode: "max" }, "Maximum", {}],
    [{ mode: "concat", concat_axis: 1 }, "Concatenate", { axis: 1 }],
    [{ mode: "dot", dot_axes: [1, 2] }, "Dot", { axes: [1, 2], normalize: false }],
    [{ mode: "cos", dot_axes: 1 }, "Dot", { axes: 1, normalize: true }],
  ])("Merge with %j becomes %s", (config, className, expected) => {
    const merged = { ...config, mode_type: "raw", output_shape: null, layers: [] };
    expect(keras2Layer("Merge", merged, "merge")).toEqual({ class_name: className, config: expected });
  });

  test("Merge with a Python function becomes a Lambda", () => {
    const config = { mode: "code", mode_type: "lambda" };
    expect(keras2Layer("Merge", config, "merge").class_name).toBe("Lambda");
  });
});
