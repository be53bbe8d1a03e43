/** Models with layers that are not Keras's own, each with what the Keras that wrote it answered. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import type { Checkpoint, Tensor } from "../src/index.ts";
import { createTrainer, predict } from "../src/index.ts";
import type { PackedTensor } from "./formats/model-fixtures.ts";
import { unpacked } from "./formats/model-fixtures.ts";

export interface CustomRecord {
  readonly files: readonly string[];
  readonly keras: string;
  readonly inputs: readonly PackedTensor[];
  readonly outputs: readonly PackedTensor[];
  readonly targets: PackedTensor;
  /** Losses of three steps of SGD at a rate of 0.1 with categorical cross-entropy, each before its update. */
  readonly losses: readonly number[];
  /** The outputs after these steps. */
  readonly trained: readonly PackedTensor[];
}

export const customFolder = "fixtures/custom";

/** Returns the files of Keras 2 or 3 with their records. */
export function customFiles(major: "2" | "3"): readonly (readonly [file: string, record: CustomRecord])[] {
  return readdirSync(customFolder)
    .filter((name) => name.endsWith(".json"))
    .map((name) => JSON.parse(readFileSync(join(customFolder, name), "utf8")) as CustomRecord)
    .filter(({ keras }) => keras.startsWith(major))
    .flatMap((record) => record.files.map((file) => [file, record] as const));
}

/** Returns the largest difference between what a model predicts and what Keras did. */
export async function predictionError(
  checkpoint: Checkpoint,
  { inputs }: CustomRecord,
  [expected]: readonly PackedTensor[],
): Promise<number> {
  const [output] = await predict(checkpoint, inputs.map(unpacked));
  return largestDifference(output, expected && unpacked(expected));
}

/** Takes the record's training steps and returns the largest difference to its losses and to its outputs after them. */
export async function trainingError(checkpoint: Checkpoint, record: CustomRecord): Promise<number> {
  const trainer = await createTrainer(checkpoint, {
    freeze: [],
    optimizer: { class_name: "SGD", config: { learning_rate: 0.1 } },
    loss: "categorical_crossentropy",
    bnMode: "freeze",
  });
  const errors: number[] = [];
  for (const expected of record.losses) {
    const { loss } = await trainer.trainOnBatch(record.inputs.map(unpacked), unpacked(record.targets));
    errors.push(Math.abs(loss - expected));
  }
  errors.push(await predictionError(trainer.checkpoint(), record, record.trained));
  trainer.dispose();
  return Math.max(...errors);
}

function largestDifference(a: Tensor | undefined, b: Tensor | undefined): number {
  expect(a?.shape).toEqual(b?.shape);
  const other = b?.data as Float32Array;
  return Math.max(
    ...Array.from(a?.data as Float32Array, (value, index) => Math.abs(value - (other[index] ?? Number.NaN))),
  );
}
