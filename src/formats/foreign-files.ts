import { existsSync, readdirSync } from "node:fs";
import { KerasFileError } from "../errors.ts";

/**
 * @file Files that people take for Keras files. They are recognized by their bytes, by their ending if the bytes tell
 * nothing, or by the contents of a folder or an archive. Each is refused by the name of its kind, with the way to a
 * file that can be read.
 */

const saveAgain = 'model.save("model.keras"), or "model.h5" where Keras refuses that';

const kinds = {
  savedModel: {
    what: "a SavedModel of TensorFlow",
    remedy: `In the Python that made it, open its folder with model = tf.keras.models.load_model(folder) and write one file with ${saveAgain}.`,
  },
  checkpoint: {
    what: "a checkpoint of TensorFlow, weights without their model",
    remedy: `In the Python that made it, build the model, read the weights with model.load_weights(…) and write one file with ${saveAgain}.`,
  },
  frozenGraph: {
    what: "a graph of TensorFlow, which has no layers to freeze or train",
    remedy: `Go back to the Keras model that it was made from, and write that with ${saveAgain}.`,
  },
  lite: {
    what: "a model of TensorFlow Lite, which is for inference alone",
    remedy: `Go back to the Keras model that it was converted from, and write that with ${saveAgain}.`,
  },
  onnx: {
    what: "an ONNX model",
    remedy: `Go back to the Keras model that it was exported from, and write that with ${saveAgain}.`,
  },
  arrays: {
    what: "arrays of NumPy, not a model",
    remedy: `In Python, build the model, give it the arrays with model.set_weights(…) and write it with ${saveAgain}.`,
  },
  torch: {
    what: "a file of PyTorch",
    remedy: `In Python, build the model in Keras, give it the weights and write it with ${saveAgain}.`,
  },
  safetensors: {
    what: "a file of safetensors, weights without their model",
    remedy: `In Python, build the model in Keras, give it the weights and write it with ${saveAgain}.`,
  },
  pickle: {
    what: "a pickle of Python, a program rather than data",
    remedy: `In the Python that made it, load the model and write it with ${saveAgain}.`,
  },
} as const;

type Kind = keyof typeof kinds;

/**
 * Refuses a file of another program.
 * @param head The first bytes of the file, at least eight.
 * @throws {KerasFileError} naming the kind of file and how to convert it.
 */
export function refuseForeignFile(path: string, head: Buffer): void {
  refuse(path, kindOfBytes(head) ?? (isHdf5(head) ? undefined : kindOfName(path)));
}

/** Refuses a folder of another program. @throws {KerasFileError} naming its kind. */
export function refuseForeignFolder(path: string): void {
  const names = readdirSync(path);
  if (names.some(isSavedModel)) refuse(path, "savedModel");
  if (names.some((name) => kindOfName(name) === "checkpoint")) refuse(path, "checkpoint");
}

/** Refuses a zip archive of another program that holds the files `names`. @throws {KerasFileError} naming its kind. */
export function refuseForeignArchive(path: string, names: readonly string[]): void {
  if (names.some((name) => isSavedModel(name.split("/").at(-1)!))) refuse(path, "savedModel");
  if (names.some((name) => name.endsWith("data.pkl"))) refuse(path, "torch");
  if (names.length > 0 && names.every((name) => name.endsWith(".npy"))) refuse(path, "arrays");
}

/**
 * Refuses a path that is no file itself but the prefix of a TensorFlow checkpoint's files. @throws {KerasFileError}
 * naming it.
 */
export function refuseForeignPrefix(path: string): void {
  if (existsSync(`${path}.index`)) refuse(path, "checkpoint");
}

function refuse(path: string, kind: Kind | undefined): void {
  if (!kind) return;
  const { what, remedy } = kinds[kind];
  throw new KerasFileError(
    `${path}: is ${what}: expected a .keras or .h5 file of Keras. ${remedy}`,
    "foreign",
  );
}

function kindOfBytes(head: Buffer): Kind | undefined {
  if (head.toString("latin1", 4, 8) === "TFL3") return "lite";
  if (head.toString("latin1", 0, 6) === "\x93NUMPY") return "arrays";
  return undefined;
}

function kindOfName(path: string): Kind | undefined {
  const name = path.split(/[/\\]/).at(-1)!.toLowerCase();
  if (isSavedModel(name) || name === "keras_metadata.pb") return "savedModel";
  if (/\.index$|\.data-\d+-of-\d+$/.test(name) || name === "checkpoint") return "checkpoint";
  if (/\.pb(txt)?$/.test(name)) return "frozenGraph";
  if (name.endsWith(".tflite")) return "lite";
  if (name.endsWith(".onnx")) return "onnx";
  if (/\.pth?$/.test(name)) return "torch";
  if (name.endsWith(".safetensors")) return "safetensors";
  if (/\.(pkl|pickle|joblib)$/.test(name)) return "pickle";
  return undefined;
}

function isHdf5(head: Buffer): boolean {
  return head.toString("latin1", 0, 4) === "\x89HDF";
}

function isSavedModel(name: string): boolean {
  return /^saved_model\.pb(txt)?$/.test(name);
}
