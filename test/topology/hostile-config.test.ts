import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Json, JsonObject } from "../../src/checkpoint.ts";
import { TopologyError } from "../../src/errors.ts";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";

const fixtures = join(import.meta.dirname, "..", "..", "fixtures");

/** Values that are wrong in nearly every place of a config. */
const strange: readonly Json[] = [0, -1, 1.5, "x", null, true, [], [0, 0], [1, 2, 3], {}];

/** Yields the keys and indices that lead to every value in a config, at any depth. */
function* placesIn(value: Json, above: readonly string[] = []): Generator<readonly string[]> {
  if (typeof value !== "object" || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    yield [...above, key];
    yield* placesIn(inner, [...above, key]);
  }
}

/** Returns a copy of the config with another value in one place. */
function changed(config: JsonObject, place: readonly string[], value: Json): JsonObject {
  const copy = structuredClone(config);
  let at = copy as Record<string, Json>;
  for (const key of place.slice(0, -1)) at = at[key] as Record<string, Json>;
  at[place.at(-1)!] = value;
  return copy;
}

describe.each(["cli/small_resnet.keras", "models/k215-nested-frozen.h5", "models/k224-sequential.h5"])(
  "%s with any value of its config replaced",
  (name) => {
    test("the config is read or refused with a TopologyError", async () => {
      const checkpoint = await readCheckpoint(join(fixtures, name));
      let refused = 0;
      const places = [...placesIn(checkpoint.modelConfig)];
      const step = Math.ceil(places.length / 120);
      for (const place of places.filter((_, index) => index % step === 0)) {
        for (const value of strange) {
          const modelConfig = changed(checkpoint.modelConfig, place, value);
          try {
            layerGraph({ ...checkpoint, modelConfig });
          } catch (error) {
            refused++;
            expect(error, `${place.join(".")} = ${JSON.stringify(value)}`).toBeInstanceOf(TopologyError);
          }
        }
      }
      expect(refused).toBeGreaterThan(100);
    });
  },
);

test("sizes below 1 and a layer without inputs are refused by layer and argument", async () => {
  const checkpoint = await readCheckpoint(join(fixtures, "cli", "small_resnet.keras"));
  const graphWith = (place: string, value: Json) =>
    layerGraph({
      ...checkpoint,
      modelConfig: changed(checkpoint.modelConfig, place.split("."), value),
    });
  expect(() => graphWith("config.layers.1.config.strides", [0, 0])).toThrow(
    "conv1_conv: strides: expected an integer of 1 or more, or 2 of them, got [0,0].",
  );
  expect(() => graphWith("config.layers.1.config.dilation_rate", -1)).toThrow(
    "conv1_conv: dilation_rate: expected an integer of 1 or more",
  );
  expect(() => graphWith("config.layers.1.inbound_nodes.0.args", [])).toThrow(
    "conv1_conv: inputs: expected an output of another layer, got none.",
  );
});
