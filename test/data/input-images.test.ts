import { describe, expect, test } from "vitest";
import type { JsonObject, PreprocessMode } from "../../src/checkpoint.ts";
import { familyOf } from "../../src/data/families.ts";
import { detectPreprocess, imageChannelsOf, imageInputOf, imageSizeOf } from "../../src/data/input-images.ts";
import type { Shape } from "../../src/tensor.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";
import type { GraphLayer, GraphNode, LayerGraph } from "../../src/topology/layer-graph.ts";
import { answers } from "./answers.ts";

interface FamilyAnswer {
  readonly model: string;
  readonly layers: readonly (readonly [name: string, className: string])[];
  readonly top_filters: number | null;
  readonly size: number | null;
  readonly preprocess: PreprocessMode;
}

type Named = readonly [name: string, className: string, config?: JsonObject];

/** Layers in a row, each reading the one before it: enough to find a family in, not to run. */
function chain(layers: readonly Named[], input: Shape = [null, null, null, 3], inside = ""): LayerGraph {
  const graphLayers = layers.map(([name, className, config = {}], index): GraphLayer => {
    const path = inside && index > 0 ? `${inside}/${name}` : name;
    return {
      path,
      name,
      className,
      config,
      keras: 3,
      trainable: true,
      containers: inside ? [inside] : [],
      index,
    };
  });
  const nodes = graphLayers.map(({ path }, index): GraphNode => {
    const inputs = index === 0 ? [] : [{ node: index - 1, output: 0 }];
    const shape = index === 0 ? input : null;
    return { index, layer: path, args: [], kwargs: {}, inputs, outputs: [{ shape, dtype: "float32" }] };
  });
  const ref = { node: 0, output: 0 };
  return { name: "model", layers: graphLayers, nodes, inputs: [{ name: "input_1", ref }], outputs: [] };
}

function layersOf({ layers, top_filters }: FamilyAnswer): Named[] {
  const filters: JsonObject = top_filters === null ? {} : { filters: top_filters };
  return layers.map(([name, className]) => [name, className, name === "top_conv" ? filters : {}]);
}

describe.each(["3", "2.15", "2.2"])("keras.applications of Keras %s", async (version) => {
  const applications = Object.entries(
    await answers<Record<string, FamilyAnswer>>(`families-${version}.json.gz`),
  );

  test.each(applications)("%s is prepared as its own preprocess_input does", (_, answer) => {
    const detected = detectPreprocess(chain(layersOf(answer)), {});
    expect(detected.mode).toBe(answer.preprocess);
    expect(detected.source).toBe(answer.preprocess === "none" ? "layer" : "family");
    expect(detected.warning).toBeUndefined();
  });

  test.each(applications)("%s is prepared alike inside another model", (_, answer) => {
    const nested = chain([["input_2", "InputLayer"], ...layersOf(answer).slice(1)], undefined, "base");
    expect(detectPreprocess(nested, {}).mode).toBe(answer.preprocess);
  });

  test.each(applications.filter(([, { size }]) => size !== null))(
    "%s has images of its own size",
    (_, answer) => {
      expect(imageSizeOf(chain(layersOf(answer)), {})).toEqual([answer.size, answer.size]);
    },
  );
});

describe.each(["3", "2.15", "2.2"])("models that Keras %s wrote", async (version) => {
  const models = await answers<Record<string, { config: string; expected: string }>>(
    `inputs-${version}.json.gz`,
  );

  test.each(Object.entries(models))("%s: what prepares the pixels is found", (_, { config, expected }) => {
    const modelConfig = JSON.parse(config) as JsonObject;
    const kerasVersion = version === "3" ? "3.15.1" : `${version}.0`;
    const detected = detectPreprocess(layerGraph({ modelConfig, kerasVersion }), {});
    expect(detected.source).toBe(expected);
    expect(detected.mode).toBe(expected === "family" ? "tf" : "none");
    expect(detected.warning !== undefined).toBe(expected === "unknown");
  });
});

const efficientNet: Named[] = [
  ["input_1", "InputLayer"],
  ["stem_conv", "Conv2D"],
  ["block1a_dwconv", "DepthwiseConv2D"],
];

test("an EfficientNet without its Rescaling wants tf", () => {
  expect(detectPreprocess(chain(efficientNet), {})).toMatchObject({ mode: "tf", source: "family" });
});

test("notes in the file win over a layer and over the family", () => {
  expect(detectPreprocess(chain(efficientNet), { preprocess: "torch" })).toMatchObject({
    mode: "torch",
    source: "notes",
    family: "EfficientNet",
  });
});

describe("the size of images", () => {
  const free = chain(efficientNet);
  const fixed = chain(efficientNet, [null, 96, 128, 3]);

  test("is what a fixed input says, and asking for another is an error", () => {
    expect(imageSizeOf(fixed, { imageSize: [64, 64] })).toEqual([96, 128]);
    expect(imageSizeOf(fixed, {}, [96, 128])).toEqual([96, 128]);
    expect(() => imageSizeOf(fixed, {}, 224)).toThrow(
      "imageSize: expected 96x128, the model's fixed input, got 224x224.",
    );
  });

  test("of a free input is what is asked for, then the notes', then the family's", () => {
    expect(imageSizeOf(free, { imageSize: [64, 65] }, 300)).toEqual([300, 300]);
    expect(imageSizeOf(free, { imageSize: [64, 65] })).toEqual([64, 65]);
    expect(imageSizeOf(free, {})).toEqual([224, 224]);
  });

  test("may be fixed in one direction", () => {
    const strip = chain(efficientNet, [null, 32, null, 3]);
    expect(imageSizeOf(strip, {}, [32, 500])).toEqual([32, 500]);
    expect(() => imageSizeOf(strip, {}, [33, 500])).toThrow("expected 32xany");
  });

  test("is refused for models that take no image, with what to do", () => {
    expect(() => imageSizeOf(chain(efficientNet, [null, 10]), {})).toThrow(
      /got \[None,10\]\. Train it on arrays/,
    );
    expect(() => imageSizeOf(chain(efficientNet, [null, 3, 224, 224]), {})).toThrow(/Channels-first/);
    const two = { ...free, inputs: [...free.inputs, { name: "age", ref: { node: 0, output: 0 } }] };
    expect(() => imageSizeOf(two, {})).toThrow(
      /expected one input of images or texts, got 2 inputs \(input_1, age\)/,
    );
  });
});

test("the input's channels decide between gray, colour and colour with alpha", () => {
  expect(
    [1, 3, 4, null].map((channels) => imageChannelsOf(chain(efficientNet, [null, 8, 8, channels]))),
  ).toEqual([1, 3, 4, 3]);
});

test("a net of other names belongs to no family, and the warning says what to pass", () => {
  const own = chain([
    ["input_1", "InputLayer"],
    ["conv1", "Conv2D"],
    ["dense", "Dense"],
  ]);
  expect(familyOf(own)).toBeUndefined();
  expect(detectPreprocess(own, {}).warning).toMatch(/preprocess: "unit" if the model was trained on x\/255/);
});

describe("images stand in an input", () => {
  const place = (shape: Shape, asked?: readonly [number, number]) => {
    const { size, channels, layout } = imageInputOf(chain(efficientNet, shape), asked);
    return [layout, ...size, channels];
  };

  test.each<[Shape, unknown[]]>([
    [
      [null, 28, 28, 1],
      ["channels", 28, 28, 1],
    ],
    [
      [null, null, null, 3],
      ["channels", null, null, 3],
    ],
    [
      [null, 28, 28],
      ["gray", 28, 28, 1],
    ],
    [
      [null, 32, 64],
      ["gray", 32, 64, 1],
    ],
    [
      [null, 784],
      ["flat", 28, 28, 1],
    ],
    [
      [null, 3072],
      ["flat", 32, 32, 3],
    ],
  ])("of shape %j as %j", (shape, expected) => {
    expect(place(shape)).toEqual(expected);
  });

  test("of one axis in another shape, where that is asked for and has as many pixels", () => {
    expect(place([null, 784], [14, 56])).toEqual(["flat", 14, 56, 1]);
    expect(place([null, 1200], [10, 40])).toEqual(["flat", 10, 40, 3]);
    expect(() => imageSizeOf(chain(efficientNet, [null, 784]), {}, [14, 57])).toThrow(/expected 28x28/);
  });

  test.each<[Shape]>([
    [[null, 128, 9]],
    [[null, null, 64]],
    [[null, 4, 4]],
    [[null, 16]],
    [[null, 1000]],
    [[null]],
  ])("but not of shape %j", (shape) => {
    expect(() => place(shape)).toThrow(/expected images \[None,height,width,3\]/);
  });
});

test("a layer that makes larger numbers of pixels is warned of, as made for x/255", () => {
  const ofUnit = chain([
    ["input_1", "InputLayer"],
    ["rescaling", "Rescaling", { scale: 2, offset: -1 }],
    ["conv", "Conv2D"],
  ]);
  expect(detectPreprocess(ofUnit, {})).toMatchObject({
    mode: "none",
    source: "layer",
    warning: expect.stringMatching(
      /^preprocessing: rescaling makes pixels of 0 to 255 into -1 to 509/,
    ) as string,
  });
});

test("a Rescaling by one prepares nothing", () => {
  const same = chain([
    ["input_1", "InputLayer"],
    ["rescaling", "Rescaling", { scale: 1, offset: 0 }],
    ["conv", "Conv2D"],
  ]);
  expect(detectPreprocess(same, {}).source).toBe("unknown");
});
