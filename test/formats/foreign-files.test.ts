import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { strToU8, zipSync } from "fflate";
import { expect, onTestFinished, test } from "vitest";
import { KerasFileError } from "../../src/errors.ts";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";

const saveAgain = 'model.save("model.keras")';

/** What reading `asked` of a folder that holds `files` is refused with, less the folder's path. */
async function refusalOf(asked: string, files: Record<string, string | Uint8Array>): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "foreign-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content, "latin1");
  }
  const refusal: unknown = await readCheckpoint(join(folder, asked)).catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(KerasFileError);
  const { message } = refusal as KerasFileError;
  expect(message.startsWith(`${join(folder, asked)}: is `), message).toBe(true);
  return message.slice(folder.length + 1);
}

const savedModel = {
  "pets/saved_model.pb": "\x08\x01",
  "pets/keras_metadata.pb": "\n",
  "pets/variables/variables.index": "",
};

/** A zip of empty files of these names. */
function zipOf(...names: string[]): Uint8Array {
  return zipSync(Object.fromEntries(names.map((name) => [name, strToU8("")])), { level: 0 });
}

const refused: [string, Record<string, string | Uint8Array>, string, string][] = [
  ["w.npz", { "w.npz": zipOf("arr_0.npy", "arr_1.npy") }, "arrays of NumPy", "model.set_weights(…)"],
  [
    "pets.zip",
    { "pets.zip": zipOf("pets/saved_model.pb", "pets/fingerprint.pb") },
    "a SavedModel",
    "load_model(folder)",
  ],
  [
    "pets.pt",
    { "pets.pt": zipOf("pets/data.pkl", "pets/data/0") },
    "a file of PyTorch",
    "give it the weights",
  ],
  ["pets", savedModel, "a SavedModel of TensorFlow", "load_model(folder)"],
  ["pets/saved_model.pb", savedModel, "a SavedModel of TensorFlow", "load_model(folder)"],
  ["pets/keras_metadata.pb", savedModel, "a SavedModel of TensorFlow", "load_model(folder)"],
  ["pets.ckpt", { "pets.ckpt.index": "x" }, "a checkpoint of TensorFlow", "model.load_weights(…)"],
  ["pets.ckpt.index", { "pets.ckpt.index": "x" }, "a checkpoint of TensorFlow", "model.load_weights(…)"],
  [
    "runs",
    { "runs/checkpoint": "x", "runs/a.index": "x" },
    "a checkpoint of TensorFlow",
    "model.load_weights(…)",
  ],
  ["frozen.pb", { "frozen.pb": "\n\x10\n\x05input" }, "a graph of TensorFlow", "was made from"],
  ["pets.tflite", { "pets.tflite": "\x1c\0\0\0TFL3" }, "a model of TensorFlow Lite", "was converted from"],
  ["pets.h5", { "pets.h5": "\x1c\0\0\0TFL3" }, "a model of TensorFlow Lite", "was converted from"],
  ["pets.onnx", { "pets.onnx": "\x08\x07\x12\x07pytorch" }, "an ONNX model", "was exported from"],
  ["w.npy", { "w.npy": "\x93NUMPY\x01\0" }, "arrays of NumPy", "model.set_weights(…)"],
  ["pets.pth", { "pets.pth": "\x80\x02\x8a\x0a" }, "a file of PyTorch", "give it the weights"],
  [
    "w.safetensors",
    { "w.safetensors": "\x40\0\0\0\0\0\0\0{}" },
    "a file of safetensors",
    "give it the weights",
  ],
  ["pets.pkl", { "pets.pkl": "\x80\x04\x95" }, "a pickle of Python", "load the model"],
];

test.each(refused)(
  "%s is refused by what it is, with the way to a file of Keras",
  async (asked, files, what, remedy) => {
    const refusal = await refusalOf(asked, files);
    expect(refusal).toContain(`is ${what}`);
    expect(refusal).toContain(remedy);
    expect(refusal).toContain(saveAgain);
  },
);
