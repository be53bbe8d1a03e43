import { expect, test } from "vitest";
import type { JsonObject } from "../../../src/checkpoint.ts";
import { readCheckpoint } from "../../../src/formats/checkpoint-file.ts";
import { layerGraph } from "../../../src/topology/build-graph.ts";
import { requireSupported } from "../../../src/topology/support.ts";
import { translateConfig } from "../../../src/topology/translate/translate-config.ts";
import { modelPath } from "../../formats/model-fixtures.ts";

test("TensorFlow functions of a Keras 2 graph become operations in .keras with an equal graph", async () => {
  const checkpoint = await readCheckpoint(modelPath("k24-operations.h5"));
  const { modelConfig } = translateConfig(checkpoint, "keras3");
  expect(JSON.stringify(modelConfig)).not.toMatch(/OpLambda/);
  const layers = (kerasVersion: string, config: JsonObject) =>
    layerGraph({ modelConfig: config, kerasVersion })
      .layers.map(({ path, className }) => `${path} ${className}`)
      .sort();
  expect(layers("3.15.1", modelConfig)).toEqual(layers(checkpoint.kerasVersion, checkpoint.modelConfig));
});

test("a TensorFlow function without an operation in Keras 3 is refused by layer and function", async () => {
  const checkpoint = await readCheckpoint(modelPath("k24-operations.h5"));
  const text = JSON.stringify(checkpoint.modelConfig).replace('"math.truediv"', '"math.unheard_of"');
  const changed = { ...checkpoint, modelConfig: JSON.parse(text) as JsonObject };
  expect(() => translateConfig(changed, "keras3")).toThrow(
    /^tf\.math\.truediv: TFOpLambda of math\.unheard_of: Keras 3 has no such layer/,
  );
});

test("a TensorFlow node that no supported function makes is refused by layer and kind", async () => {
  const checkpoint = await readCheckpoint(modelPath("k24-early-operations.h5"));
  requireSupported(layerGraph(checkpoint));
  const text = JSON.stringify(checkpoint.modelConfig).replace('"op":"Abs"', '"op":"Digamma"');
  const changed = { ...checkpoint, modelConfig: JSON.parse(text) as JsonObject };
  expect(() => requireSupported(layerGraph(changed))).toThrow(
    /tf_op_layer_Abs \(TensorFlowOpLayer\): it is the TensorFlow operation Digamma/,
  );
  expect(() => translateConfig(changed, "keras3")).toThrow(
    /^tf_op_layer_Abs: TensorFlowOpLayer of Digamma: Keras 3 has no such layer/,
  );
});
