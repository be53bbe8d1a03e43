import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { beforeAll, describe, expect, test } from "vitest";
import type { JsonObject } from "../../src/checkpoint.ts";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import { tf } from "../../src/engine/tf.ts";
import { wholeProgram } from "../../src/model/program.ts";
import { runProgram } from "../../src/model/run-program.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";
import { requireSupported, unsupportedLayers } from "../../src/topology/support.ts";

interface Packed {
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly base64: string;
}

const fixture = JSON.parse(
  gunzipSync(readFileSync(new URL("../../fixtures/graphs/tf-functions.json.gz", import.meta.url))).toString(),
) as {
  kerasVersion: string;
  modelConfig: JsonObject;
  inputs: Packed[];
  names: string[];
  outputs: Packed[];
};

describe("TensorFlow functions in a Keras 2 graph", () => {
  const graph = layerGraph(fixture);
  let outputs: { shape: number[]; values: Float32Array }[] = [];

  beforeAll(async () => {
    if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
    await ensureEngine();
    const feeds = fixture.inputs.map((packed) => tf.tensor(floats(packed), [...packed.shape]));
    const results = runProgram(wholeProgram(graph), feeds, new Map());
    outputs = results.map((tensor) => ({ shape: tensor.shape, values: tensor.dataSync<"float32">() }));
    tf.dispose([feeds, results]);
  });

  test("every TensorFlow function becomes an operation of Keras 3", () => {
    expect(unsupportedLayers(graph)).toEqual([]);
  });

  test.each(fixture.names.map((name, index) => ({ name, index })))(
    "$name gives the same output as Keras",
    ({ index }) => {
      const expected = fixture.outputs[index]!;
      const { ref } = graph.outputs[index]!;
      const declared = graph.nodes[ref.node]!.outputs[ref.output]!.shape!;
      expect([expected.shape[0], ...declared.slice(1)]).toEqual(expected.shape);
      expect(outputs[index]!.shape).toEqual(expected.shape);
      const values = floats(expected);
      const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
      outputs[index]!.values.forEach((value, at) => {
        expect(Math.abs(value - values[at]!)).toBeLessThanOrEqual(2e-5 * largest);
      });
    },
  );
});

test("a TensorFlow function without an equivalent is refused by layer and function", () => {
  const modelConfig = {
    class_name: "Functional",
    config: {
      name: "m",
      layers: [
        {
          class_name: "InputLayer",
          name: "x",
          config: { name: "x", batch_input_shape: [null, 4] },
          inbound_nodes: [],
        },
        {
          class_name: "TFOpLambda",
          name: "tf.signal.fft",
          config: { name: "tf.signal.fft", function: "signal.fft" },
          inbound_nodes: [["x", 0, 0, { name: null }]],
        },
      ],
      input_layers: [["x", 0, 0]],
      output_layers: [["tf.signal.fft", 0, 0]],
    },
  };
  expect(() => requireSupported(layerGraph({ modelConfig, kerasVersion: "2.9.0" }))).toThrow(
    "tf.signal.fft (TFOpLambda): it is the TensorFlow function tf.signal.fft, which has no equivalent here",
  );
});

function floats({ base64 }: Packed): Float32Array {
  return new Float32Array(Uint8Array.from(Buffer.from(base64, "base64")).buffer);
}
