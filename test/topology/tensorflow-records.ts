/** TensorFlow functions in models of the versions of Keras that store them (fixtures/make/tensorflow_functions.py). */
import { readdirSync, readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import type { JsonObject } from "../../src/checkpoint.ts";
import { parsePythonJson } from "../../src/formats/python-json.ts";
import type { Tensor } from "../../src/tensor.ts";

export interface PackedNumbers {
  readonly shape: readonly number[];
  readonly dtype: "float32" | "int32";
  readonly base64: string;
}

/** A model that applies one function to its inputs. */
export interface FunctionCase {
  readonly name: string;
  readonly modelConfig: JsonObject;
  readonly output: PackedNumbers;
}

export interface FunctionRecord {
  readonly kerasVersion: string;
  readonly inputs: { readonly [name: string]: PackedNumbers };
  readonly cases: readonly FunctionCase[];
}

const folder = new URL("../../fixtures/graphs/", import.meta.url);

/** Reads the fixtures by name: `tensorflow-2.9.0`, `tensorflow-nodes-2.4.0`. */
export function functionRecords(): [string, FunctionRecord][] {
  return readdirSync(folder)
    .filter((file) => /^tensorflow-.*\.json\.gz$/.test(file))
    .map((file): [string, FunctionRecord] => {
      const text = gunzipSync(readFileSync(new URL(file, folder))).toString();
      return [file.replace(".json.gz", ""), parsePythonJson(text, file) as unknown as FunctionRecord];
    });
}

export function numbersOf({ shape, dtype, base64 }: PackedNumbers): Tensor {
  const { buffer } = Uint8Array.from(Buffer.from(base64, "base64"));
  return { dtype, shape, data: dtype === "int32" ? new Int32Array(buffer) : new Float32Array(buffer) };
}
