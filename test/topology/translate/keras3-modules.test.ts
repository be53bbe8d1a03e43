import { expect, test } from "vitest";
import type { JsonObject } from "../../../src/checkpoint.ts";
import { readCheckpoint } from "../../../src/formats/checkpoint-file.ts";
import { withoutModules } from "../../../src/topology/translate/keras3-modules.ts";
import { modelPath } from "../../formats/model-fixtures.ts";

test("layers in .h5 have the class names that Keras writes there", async () => {
  const archived = await layerIn("k3-transformer.keras", "grouped");
  const saved = await layerIn("k3-transformer-h5.h5", "grouped");
  expect(archived["class_name"]).not.toBe(saved["class_name"]);
  expect(withoutModules(archived)["class_name"]).toBe(saved["class_name"]);
});

async function layerIn(file: string, name: string): Promise<JsonObject> {
  const { modelConfig } = await readCheckpoint(modelPath(file), { weights: false });
  const { layers } = modelConfig["config"] as { layers: readonly JsonObject[] } & JsonObject;
  return layers.find((layer) => layer["name"] === name)!;
}
