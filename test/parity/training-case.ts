import { createHash } from "node:crypto";
import { join } from "node:path";
import { expect } from "vitest";
import type { BatchNormMode, Checkpoint, JsonObject } from "../../src/checkpoint.ts";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { freeze } from "../../src/freeze/policy.ts";
import type { InputTensor, Tensor } from "../../src/tensor.ts";
import { createTrainer } from "../../src/training/trainer.ts";
import type { KerasWeights } from "./differences.ts";
import { counterpart, difference, entriesOf, magnitude, norm } from "./differences.ts";
import type { Keras } from "./keras.ts";
import { measured } from "./measured.ts";

/** Training steps to be taken by Keras and by us. */
export interface TrainingCase {
  /** Of `networks.py`. */
  readonly network: string;
  readonly options?: JsonObject;
  readonly optimizer: JsonObject;
  /** categorical_crossentropy */
  readonly loss?: string | JsonObject;
  /** Paths of layers; nothing. */
  readonly frozen?: readonly string[];
  /** follow */
  readonly bnMode?: BatchNormMode;
  readonly classWeight?: Readonly<Record<string, number>>;
  readonly samples?: number;
  /** Of weights and inputs, so that scores saturate; 1. */
  readonly scale?: number;
  readonly seed?: number;
  /** The deviation that the scores before the softmax are given; as they come. */
  readonly logits?: number;
  /** Largest difference of a weight by the larger of 1 and its largest value; 2e-5. */
  readonly tolerance?: number;
  /** By the largest value alone. */
  readonly relative?: boolean;
  /** Largest length of the difference of all moves by the length of Keras's; 1e-3. */
  readonly moveTolerance?: number;
}

interface KerasStep {
  readonly loss: number;
  readonly accuracy?: number;
  /** After the first step and the last. */
  readonly weights?: KerasWeights;
}

/** The model of a case, which Keras makes once: what it is called there, and its file. */
export async function makeModel(
  keras: Keras,
  { network, options, seed = 0, scale = 1, logits }: Omit<TrainingCase, "optimizer">,
): Promise<{ name: string; path: string }> {
  const words = {
    network,
    seed,
    scale,
    ...(options && { options }),
    ...(logits !== undefined && { logits }),
  };
  const name = JSON.stringify(words);
  const path = join(keras.folder, `${createHash("sha1").update(name).digest("hex")}.keras`);
  await keras.ask("make", { name, paths: [path], ...words });
  return { name, path };
}

/**
 * Three steps on one batch, from weights that Keras drew: loss, accuracy and every weight after the first step and the third, and
 * the move of all weights together by its own length, which tells steps that are too small for the tolerance.
 */
export async function expectSameTraining(
  keras: Keras,
  case_: TrainingCase,
  group: string,
): Promise<Checkpoint> {
  const { optimizer, loss = "categorical_crossentropy", frozen = [] } = case_;
  const { bnMode = "follow", samples = 6, scale = 1, seed = 0, tolerance = 2e-5 } = case_;
  const { name, path } = await makeModel(keras, case_);
  const { inputs, targets, steps } = await keras.ask<{
    inputs: InputTensor[];
    targets: Tensor;
    steps: KerasStep[];
  }>("train", {
    ...{ name, optimizer, loss, frozen, samples, seed, scale, bn_mode: bnMode },
    ...(case_.classWeight && { class_weight: case_.classWeight }),
  });
  const checkpoint = await readCheckpoint(path);
  const trainer = await createTrainer(checkpoint, {
    freeze: frozen.length > 0 ? freeze(...frozen) : [],
    ...{ bnMode, optimizer, loss },
    ...(case_.classWeight && { classWeight: case_.classWeight }),
  });
  try {
    for (const [index, step] of steps.entries()) {
      const figures = await trainer.trainOnBatch(inputs, targets);
      const lossApart = Math.abs(figures.loss - step.loss) / Math.max(1, step.loss);
      measured(`${group}: loss`, lossApart);
      expect(lossApart, `loss of step ${index + 1}`).toBeLessThan(2e-5);
      if (step.accuracy !== undefined) expect(figures.accuracy).toBeCloseTo(step.accuracy, 6);
      if (!step.weights) continue;
      const after = trainer.checkpoint();
      expect(unequalToKeras(after, step.weights, case_, tolerance, group), `step ${index + 1}`).toEqual([]);
      const moveApart = differenceOfMoves(checkpoint, after, step.weights);
      measured(`${group}: moves`, moveApart);
      expect(moveApart, `move of step ${index + 1}`).toBeLessThan(case_.moveTolerance ?? 1e-3);
      if (bnMode !== "train") expect(movedThough(checkpoint, after, frozen)).toEqual([]);
    }
    return trainer.checkpoint();
  } finally {
    trainer.dispose();
  }
}

/** `path/name: difference` of each weight that is too far from Keras's. */
function unequalToKeras(
  { weights }: Checkpoint,
  expected: KerasWeights,
  { relative = false }: TrainingCase,
  tolerance: number,
  group: string,
): string[] {
  return entriesOf(expected).flatMap((entry) => {
    const largest = magnitude(entry.value);
    const apart =
      difference(counterpart(weights, entry), entry.value) / (relative ? largest : Math.max(1, largest));
    measured(`${group}: weights`, apart);
    return apart < tolerance ? [] : [`${entry.path}/${entry.name}: ${apart.toExponential(2)}`];
  });
}

/** Weights of `paths`, statistics too, whose bits changed. */
function movedThough(before: Checkpoint, after: Checkpoint, paths: readonly string[]): string[] {
  return paths.flatMap((path) =>
    (before.weights.get(path) ?? []).flatMap((weight, place) =>
      difference(after.weights.get(path)![place]!, weight) === 0 ? [] : [`${path}/${weight.name}`],
    ),
  );
}

/** The length of the difference between what we moved and what Keras moved, by the length of the latter. */
function differenceOfMoves(before: Checkpoint, after: Checkpoint, expected: KerasWeights): number {
  const lengths = entriesOf(expected).map((entry) => ({
    apart: norm(counterpart(after.weights, entry), entry.value),
    moved: norm(counterpart(before.weights, entry), entry.value),
  }));
  return Math.hypot(...lengths.map(({ apart }) => apart)) / Math.hypot(...lengths.map(({ moved }) => moved));
}
