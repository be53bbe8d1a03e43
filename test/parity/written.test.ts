import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Checkpoint } from "../../src/checkpoint.ts";
import { TopologyError } from "../../src/errors.ts";
import { readCheckpoint, writeCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { forEarlyKeras3 } from "../../src/formats/early-keras3.ts";
import type { InputTensor } from "../../src/tensor.ts";
import { toFloat32 } from "../../src/tensor.ts";
import { changesInKeras3 } from "../../src/topology/translate/changes-in-keras3.ts";
import type { ModelRecord } from "../formats/model-fixtures.ts";
import {
  modelPath,
  modelRecords,
  textFolder,
  textRecords,
  unpackedTexts,
} from "../formats/model-fixtures.ts";
import { difference, magnitude } from "./differences.ts";
import type { Keras } from "./keras.ts";
import { startKeras } from "./keras.ts";

/** @file What is written as `.keras` of every model, opened by real Keras: the current one, and 3.0.5 in its form. */

/** TensorFlow has no convolution of channels-first pictures on a CPU, and a wrong one in its oneDNN build. */
const channelsFirst = /-(channels-first|theano)\.h5$/;

/** What Keras cannot open of its own: a functional model of 3.0 in a Sequential one, operations of untraced arguments. */
const broken = /^(k30-nested-sequential|k3-more-operations)\.keras$/;

const records = [
  ...modelRecords().map(([file, record]) => [file, modelPath(file), record] as const),
  ...textRecords().map(([file, record]) => [file, join(textFolder, file), record] as const),
].filter(([file]) => !channelsFirst.test(file) && !broken.test(file));

describe.each(["current", "early"] as const)("%s Keras 3", (release) => {
  let keras: Keras;
  beforeAll(() => {
    keras = startKeras(release);
  });
  afterAll(() => keras.close());

  test.each(records)(
    "%s opens and predicts the same, unless a warning says what changes",
    async (_, source, record) => {
      const checkpoint = await readCheckpoint(source);
      const written = release === "early" ? earlyOrRefused(checkpoint) : checkpoint;
      if (!written) return;
      const path = join(keras.folder, "written.keras");
      await writeCheckpoint(path, written);
      const largest = await apart(keras, path, record);
      if (changesInKeras3(checkpoint, release).length === 0) {
        expect(largest).toBeLessThan(record.within ?? 2e-5);
      }
    },
  );
});

/** In the form of Keras 3.0; undefined where that is refused by the name of a layer. */
function earlyOrRefused(checkpoint: Checkpoint): Checkpoint | undefined {
  try {
    return forEarlyKeras3(checkpoint);
  } catch (error) {
    if (!(error instanceof TopologyError)) throw error;
    expect(error.message).toMatch(/: Keras 3\.0 (fails to open|has no|knows no) /);
    return undefined;
  }
}

/** The largest difference of a model's predictions from those in its record, relative to these. */
async function apart(keras: Keras, path: string, { inputs, outputs }: ModelRecord): Promise<number> {
  await keras.ask("open", { name: "written", path });
  const asked = inputs.map((input) => asFloat32(unpackedTexts(input)));
  const answer = await keras.ask<{ outputs: InputTensor[] }>("predict", { name: "written", inputs: asked });
  const differences = outputs.map((expected, index) => {
    const [wanted, got] = [asFloat32(unpackedTexts(expected)), answer.outputs[index]!];
    if (wanted.dtype === "string" || got.dtype === "string") {
      return isDeepStrictEqual(got, wanted) ? 0 : Number.POSITIVE_INFINITY;
    }
    return difference(got, wanted) / Math.max(1, magnitude(wanted));
  });
  return Math.max(...differences);
}

function asFloat32(tensor: InputTensor): InputTensor {
  if (tensor.dtype === "string") return tensor;
  return { ...tensor, dtype: "float32", data: toFloat32(tensor) };
}
