import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { Checkpoint } from "../../src/checkpoint.ts";
import { ensureEngine } from "../../src/engine/backend.ts";
import { TopologyError } from "../../src/errors.ts";
import { writeCheckpoint } from "../../src/formats/checkpoint-file.ts";
import type { InputTensor, Tensor } from "../../src/tensor.ts";
import { toFloat32 } from "../../src/tensor.ts";
import type { ModelRecord, PackedTensor } from "../formats/model-fixtures.ts";
import {
  modelPath,
  modelRecords,
  textFolder,
  textRecords,
  unpackedTexts,
} from "../formats/model-fixtures.ts";
import { inputsFor, saveByTfjs, tfjsNetworks } from "../formats/tfjs/networks.ts";
import { difference, magnitude } from "./differences.ts";
import type { Keras } from "./keras.ts";

/** @file Every model file of the fixtures, and what it predicts. */

export interface WrittenModel {
  readonly path: string;
  readonly inputs: readonly InputTensor[];
  readonly outputs: readonly InputTensor[];
  /** How far a prediction may be from the outputs, relative to the largest where that is above 1. */
  readonly within: number;
}

/** TensorFlow has no convolution of channels-first pictures on a CPU, and a wrong one in its oneDNN build. */
const channelsFirst = /-(channels-first|theano)\.h5$/;

/** What Keras cannot open of its own: a functional model of 3.0 in a Sequential one, operations of untraced arguments. */
const broken = /^(k30-nested-sequential|k3-more-operations)\.keras$/;

/** Its output has no samples: a call gives it once, `predict`, which was recorded, once a sample. */
const sampleless = /^k3-across-batches\./;

/** The whole models of every Keras, with what that Keras predicted. */
export function kerasModels(): readonly (readonly [string, WrittenModel])[] {
  return modelRecords()
    .filter(([file]) => ![channelsFirst, broken, sampleless].some((files) => files.test(file)))
    .map(([file, record]) => [file, recorded(modelPath(file), record)]);
}

/** Models that take texts. */
export function textModels(): readonly (readonly [string, WrittenModel])[] {
  return textRecords().map(([file, record]) => [file, recorded(join(textFolder, file), record)]);
}

/** Folders by tensorflowjs_converter. */
export function convertedFolders(): readonly (readonly [string, WrittenModel])[] {
  const folder = "fixtures/tfjs";
  return readdirSync(folder).map((name) => {
    const path = join(folder, name);
    const record = JSON.parse(readFileSync(join(path, "record.json"), "utf8")) as ModelRecord;
    return [name, recorded(path, record)];
  });
}

/** Folders by tfjs-layers itself, written below `folder`, with what it predicts. */
export async function tfjsModel(name: string, folder: string): Promise<WrittenModel> {
  await ensureEngine();
  const model = tfjsNetworks[name]!();
  const path = join(folder, name);
  await saveByTfjs(model, path);
  const inputs = inputsFor(model);
  const outputs = [model.predict(inputs)].flat();
  const asFloat = (tensor: (typeof outputs)[number]): Tensor => ({
    dtype: "float32",
    shape: tensor.shape,
    data: Float32Array.from(tensor.dataSync()),
  });
  return { path, inputs: inputs.map(asFloat), outputs: outputs.map(asFloat), within: 2e-5 };
}

function recorded(
  path: string,
  { inputs, outputs, within = 2e-5 }: Pick<ModelRecord, "inputs" | "outputs" | "within">,
): WrittenModel {
  const values = (packed: PackedTensor) => asFloat32(unpackedTexts(packed));
  return { path, inputs: inputs.map(values), outputs: outputs.map(values), within };
}

/** The file that the checkpoint is written into; undefined where that is refused by the name of a layer. */
export async function writtenOrRefused(
  path: string,
  checkpoint: Checkpoint,
  refusal: RegExp,
): Promise<string | undefined> {
  try {
    await writeCheckpoint(path, checkpoint);
    return path;
  } catch (error) {
    if (!(error instanceof TopologyError) || !refusal.test(error.message)) throw error;
    return undefined;
  }
}

/** The largest difference of what a model open in Keras predicts from what is expected, relative to that. */
export async function apart(
  keras: Keras,
  name: string,
  { inputs, outputs }: Pick<WrittenModel, "inputs" | "outputs">,
): Promise<number> {
  const answer = await keras.ask<{ outputs: InputTensor[] }>("predict", { name, inputs });
  const differences = outputs.map((wanted, index) => {
    const got = answer.outputs[index]!;
    if (wanted.dtype === "string" || got.dtype === "string") {
      return isDeepStrictEqual(got, wanted) ? 0 : Number.POSITIVE_INFINITY;
    }
    const [ours, theirs] = withoutSharedNaN(got, wanted);
    return difference(ours, theirs) / Math.max(1, magnitude(theirs));
  });
  return Math.max(...differences);
}

/** Both with zeros where neither is a number: the mean of no words is none. */
function withoutSharedNaN(got: Tensor, wanted: Tensor): readonly [Tensor, Tensor] {
  const [ours, theirs] = [toFloat32(got), toFloat32(wanted)];
  const cleared = (values: Float32Array) =>
    values.map((value, index) => (Number.isNaN(ours[index]) && Number.isNaN(theirs[index]) ? 0 : value));
  return [
    { ...got, data: cleared(ours) },
    { ...wanted, data: cleared(theirs) },
  ];
}

function asFloat32(tensor: InputTensor): InputTensor {
  return tensor.dtype === "string" ? tensor : { ...tensor, dtype: "float32", data: toFloat32(tensor) };
}
