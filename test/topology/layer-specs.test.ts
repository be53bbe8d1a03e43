import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Json, JsonObject } from "../../src/checkpoint.ts";
import { isObject } from "../../src/topology/config-values.ts";
import { knownLayerClasses, specOf } from "../../src/topology/layer-specs.ts";

const kerasDefaults = JSON.parse(
  readFileSync(new URL("../../fixtures/graphs/defaults.json", import.meta.url), "utf8"),
) as Record<string, JsonObject>;

describe("default arguments", () => {
  const classes = knownLayerClasses().filter((className) => className in kerasDefaults);

  test("the fixture has the defaults of nearly every known layer class", () => {
    // Classes of other packages are no classes of Keras: test/package-layers.test.ts has theirs.
    const layers = knownLayerClasses().filter(
      (className) =>
        !/^(?:ops\.|(?:autokeras|keras_contrib|ssd_keras|caffe_keras|keras_deeplab|Addons)>)/.test(className),
    );
    const others = layers.filter((className) => !(className in kerasDefaults));
    expect(others).toEqual([
      "InputLayer",
      "ThresholdedReLU",
      "training>ActivityPenalty",
      "TextTokens",
      "RandomHeight",
      "RandomWidth",
      "LayerScale",
      "StochasticDepth",
      "CustomScaleLayer",
      "RelativeEmbedding",
      "DisentangledSelfAttention",
      "tfjs>GraphModel",
      "Functional",
      "Pipeline",
    ]);
  });

  test.each(classes)("default arguments of %s equal Keras's", (className) => {
    const keras = kerasDefaults[className]!;
    for (const [key, value] of Object.entries(specOf(className)!.defaults)) {
      if (key === "seed") continue;
      // Strides that are null equal the pool size, which Keras writes out. Pools in the fixture have size 2.
      const expected = key === "strides" && value === null ? 2 : value;
      expect([key, comparable(expected)]).toEqual([key, comparable(keras[key])]);
    }
  });
});

/**
 * Normalizes a value: Keras writes `[2, 2]` for 2 and `[[1, 1]]` for 1, and only the class of an initializer is
 * compared.
 */
function comparable(value: Json | undefined): Json | undefined {
  if (Array.isArray(value)) {
    const items: readonly Json[] = value;
    const first = comparable(items[0]);
    return items.every((item) => JSON.stringify(comparable(item)) === JSON.stringify(first)) ? first : items;
  }
  return isObject(value) ? value["class_name"] : value;
}
