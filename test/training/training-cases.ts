/** What Keras did in training, as fixtures/make/training*.py recorded it. */
import { readdirSync, readFileSync } from "node:fs";
import type { Checkpoint, JsonObject, Weight } from "../../src/checkpoint.ts";
import type { Tensor } from "../../src/tensor.ts";

export interface Packed {
  readonly shape: number[];
  readonly base64: string;
}
export interface TrainingCase {
  readonly keras: string;
  readonly name: string;
  readonly modelConfig: JsonObject;
  readonly optimizer: JsonObject;
  readonly loss: string;
  readonly frozen: string[];
  readonly bnMode: "follow" | "inference";
  readonly classWeight: Record<string, number> | null;
  readonly input: Packed;
  readonly targets: Packed;
  /** What `evaluate` said before the steps. */
  readonly evaluated?: { readonly batchSize: number; readonly loss: number };
  readonly before: Record<string, (Packed & { name: string })[]>;
  readonly steps: { loss: number; accuracy?: number; weights: TrainingCase["before"] }[];
}

const folder = new URL("../../fixtures/training/", import.meta.url);
export const trainingCases: readonly TrainingCase[] = readdirSync(folder)
  .filter((file) => file.endsWith(".json"))
  .map((file) => JSON.parse(readFileSync(new URL(file, folder), "utf8")) as TrainingCase);

export function checkpointBefore({ keras, modelConfig, before }: TrainingCase): Checkpoint {
  const weights = new Map(Object.entries(before).map(([path, layer]) => [path, layer.map(unpackWeight)]));
  return { format: "keras", kerasVersion: keras, modelConfig, weights, notes: {} };
}

export function unpack({ shape, base64 }: Packed): Tensor {
  const bytes = Buffer.from(base64, "base64");
  const data = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  return { dtype: "float32", shape, data };
}

function unpackWeight(packed: Packed & { name: string }): Weight {
  return { ...unpack(packed), name: packed.name };
}
