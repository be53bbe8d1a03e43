/** The model files in fixtures/models, each with what the Keras that wrote it predicted. */
import { readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import type { InputTensor, Tensor } from "../../src/tensor.ts";
import { sampled } from "../sample.ts";

const folder = "fixtures/models";
export const textFolder = "fixtures/texts";

export interface PackedTensor {
  readonly name?: string;
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly base64: string;
  /** In the place of `base64` where `dtype` is `string`. */
  readonly strings?: readonly string[];
}

export interface ModelRecord {
  readonly file: string;
  /** The version of Keras that wrote file and record. */
  readonly keras: string;
  readonly what: string;
  /** Of the outermost layers that have weights. */
  readonly trainable: Readonly<Record<string, boolean>>;
  readonly inputs: readonly PackedTensor[];
  readonly outputs: readonly PackedTensor[];
  /** How far from the outputs a prediction may be, where arithmetic is not in float32. */
  readonly within?: number;
  /** In batches of how many samples the outputs are; of all where absent. */
  readonly batchSize?: number;
  /** What the error says of a file that is not read. */
  readonly refused?: string;
}

/** A packed tensor as a value. */
export function unpacked({ shape, dtype, base64 }: PackedTensor): Tensor {
  const { buffer } = Uint8Array.from(Buffer.from(base64, "base64"));
  if (dtype === "int32") return { shape, dtype, data: new Int32Array(buffer) };
  if (dtype === "bool") return { shape, dtype, data: new Uint8Array(buffer) };
  if (dtype === "int64") return { shape, dtype, data: new BigInt64Array(buffer) };
  return { shape, dtype: "float32", data: new Float32Array(buffer) };
}

export function modelPath(file: string): string {
  return join(folder, file);
}

/** A packed input or output as a value, which may hold texts. */
export function unpackedTexts(packed: PackedTensor): InputTensor {
  const { shape, strings } = packed;
  return strings ? { shape, dtype: "string", data: strings } : unpacked(packed);
}

/** The record of every model in fixtures/texts, by the file's name. */
export function textRecords(): readonly (readonly [string, ModelRecord])[] {
  return recordsIn(textFolder);
}

/** The record of every file that is read, by the file's name. */
export function modelRecords(): readonly (readonly [string, ModelRecord])[] {
  return allRecords().filter(([, { refused }]) => refused === undefined);
}

/** The records that `npm test` runs a battery on: each Keras version, file format and class name is in one of them. */
export function sampledModels(
  records: readonly (readonly [string, ModelRecord])[] = modelRecords(),
): readonly (readonly [string, ModelRecord])[] {
  return sampled(records, ([file, { keras }]) => {
    const text = readFileSync(modelPath(file)).toString("latin1");
    const classNames = [...text.matchAll(/"class_name": ?"(\w+)"/g)].map((match) => match[1] ?? "");
    return [`${keras} ${extname(file)}`, ...classNames];
  });
}

/** The record of every file that is refused, by the file's name. */
export function refusedRecords(): readonly (readonly [string, ModelRecord])[] {
  return allRecords().filter(([, { refused }]) => refused !== undefined);
}

function allRecords(): readonly (readonly [string, ModelRecord])[] {
  return recordsIn(folder);
}

function recordsIn(folder: string): readonly (readonly [string, ModelRecord])[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .map((name) => {
      const record = JSON.parse(readFileSync(join(folder, name), "utf8")) as ModelRecord;
      return [record.file, record] as const;
    });
}
