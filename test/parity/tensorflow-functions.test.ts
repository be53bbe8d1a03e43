import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { TopologyError } from "../../src/errors.ts";
import { writeCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { type Tensor, toFloat32 } from "../../src/tensor.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";
import { requireSupported } from "../../src/topology/support.ts";
import { functionRecords, numbersOf } from "../topology/tensorflow-records.ts";
import { difference, magnitude } from "./differences.ts";
import { type Keras, startKeras } from "./keras.ts";

/** Keras cannot compute it on a CPU. */
const inGroups = "conv2d of groups";

let keras: Keras;
beforeAll(() => {
  keras = startKeras();
});
afterAll(() => keras.close());

test.each(functionRecords())(
  "functions of %s as .keras give in Keras 3 what they gave",
  async (_, record) => {
    const { kerasVersion, inputs, cases } = record;
    const path = join(keras.folder, "function.keras");
    const apart: [string, number | string][] = [];
    for (const { name, modelConfig, output } of cases) {
      if (!runs(modelConfig, kerasVersion) || name === inGroups) continue;
      const graph = layerGraph({ modelConfig, kerasVersion });
      await writeCheckpoint(path, { format: "h5", kerasVersion, modelConfig, weights: new Map(), notes: {} });
      try {
        await keras.ask("open", { name: "function", path });
        const given = graph.inputs.map((input) => asFloats(numbersOf(inputs[input.name]!)));
        const { outputs } = await keras.ask<{ outputs: Tensor[] }>("predict", {
          name: "function",
          inputs: given,
        });
        const expected = asFloats(numbersOf(output));
        const gap = difference(outputs[0]!, expected) / Math.max(1, magnitude(expected));
        if (!(gap < 2e-5)) apart.push([name, gap]);
      } catch (error) {
        apart.push([name, String(error).slice(-200)]);
      }
    }
    expect(apart).toEqual([]);
  },
);

function asFloats(tensor: Tensor): Tensor {
  return { dtype: "float32", shape: tensor.shape, data: toFloat32(tensor) };
}

function runs(modelConfig: Parameters<typeof layerGraph>[0]["modelConfig"], kerasVersion: string): boolean {
  try {
    requireSupported(layerGraph({ modelConfig, kerasVersion }));
    return true;
  } catch (error) {
    if (error instanceof TopologyError) return false;
    throw error;
  }
}
