/** @file The same small network fitted by Keras and by us, on one batch. */
import { join } from "node:path";
import type { Checkpoint, JsonObject } from "../../src/checkpoint.ts";
import type { FinetuneOptions } from "../../src/index.ts";
import { arrayDataset, finetune } from "../../src/index.ts";
import { randomGenerator } from "../../src/random.ts";
import type { Tensor } from "../../src/tensor.ts";
import { float32Tensor } from "../../src/tensor.ts";
import type { KerasWeights } from "./differences.ts";
import { counterpart, difference, entriesOf } from "./differences.ts";
import type { Keras } from "./keras.ts";

const [samples, features, classes] = [12, 5, 3];
const random = randomGenerator(5);

/** One batch of normal numbers, and a class for each row. */
export const batch: { readonly inputs: Tensor; readonly targets: Tensor } = {
  inputs: float32Tensor(
    Float32Array.from({ length: samples * features }, () => 4 * random.nextFloat() - 2),
    [samples, features],
  ),
  targets: float32Tensor(
    Float32Array.from({ length: samples * classes }, (_, index) =>
      index % classes === Math.floor(index / classes) % classes ? 1 : 0,
    ),
    [samples, classes],
  ),
};

export interface KerasFit {
  readonly weights: KerasWeights;
  readonly steps: number;
}

/** What Keras comes to after so many steps: from a file, or under an optimizer. */
export function fitInKeras(
  keras: Keras,
  question: {
    readonly epochs: number;
    readonly path?: string;
    readonly optimizer?: JsonObject;
    readonly frozen?: readonly string[];
    readonly save?: readonly string[];
    readonly legacy?: boolean;
  },
): Promise<KerasFit> {
  return keras.ask<KerasFit>("fit", { ...batch, ...question });
}

/** What we come to after so many steps. */
export async function fitHere(
  model: string | Checkpoint,
  options: Omit<FinetuneOptions, "model" | "data">,
): Promise<Checkpoint> {
  const data = arrayDataset(batch.inputs, batch.targets);
  const own = { batchSize: samples, cache: false, report: false, keepHead: true, freeze: [] } as const;
  const { checkpoint } = await finetune({ model, data, ...own, ...options });
  return checkpoint;
}

/** The largest difference of a weight. */
export function farthest({ weights }: Checkpoint, expected: KerasWeights): number {
  return Math.max(
    ...entriesOf(expected).map((entry) => difference(counterpart(weights, entry), entry.value)),
  );
}

/** The largest move of a weight between two. */
export function moved(before: KerasWeights, after: KerasWeights): number {
  const start = new Map(entriesOf(before).map((entry) => [`${entry.path}/${entry.name}`, entry.value]));
  return Math.max(
    ...entriesOf(after).map(({ path, name, value }) => difference(value, start.get(`${path}/${name}`)!)),
  );
}

/** Saves the small network as it is before its first step. */
export async function unfitted(
  keras: Keras,
  file = "unfitted.keras",
): Promise<{ path: string; weights: KerasWeights }> {
  const path = join(keras.folder, file);
  const optimizer = { class_name: "SGD", config: {} };
  const { weights } = await fitInKeras(keras, { epochs: 0, optimizer, save: [path] });
  return { path, weights };
}
