import { UsageError } from "../errors.ts";
import { createTail } from "../training/tail.ts";
import type { Trained } from "../training/train.ts";
import { train } from "../training/train.ts";
import type { RunExamples } from "./features.ts";
import type { FinetuneOptions } from "./options.ts";
import type { PreparedRun } from "./prepare.ts";

/** Options that a run states and this is their default. */
export const runDefaults = { epochs: 10, batchSize: 32, seed: 0 } as const;

/** Step 8: the tail on the features. @throws {UsageError} for `patience` without validation data. */
export async function runTraining(
  run: PreparedRun,
  examples: RunExamples,
  options: FinetuneOptions,
): Promise<Trained> {
  if (options.patience !== undefined && !examples.validation) {
    throw new UsageError("--patience: expected validation data, got none.", "patience-without-validation");
  }
  const { graph, partition, optimizer, loss } = run;
  const { epochs, batchSize, seed } = { ...runDefaults, ...definedOf(options) };
  const { weights, kerasVersion } = run.checkpoint;
  const tail = createTail({ graph, partition, weights, optimizer, loss, seed, kerasVersion });
  try {
    return await train(tail, examples.train, examples.validation, {
      epochs,
      batchSize,
      seed,
      learningRate: optimizer.settings["learning_rate"] as number,
      ...(options.patience !== undefined && { patience: options.patience }),
      ...(options.signal && { signal: options.signal }),
      onStep: (step) => options.onProgress?.({ kind: "step", epochs, ...step }),
      onEpoch: (epoch, best) => options.onProgress?.({ kind: "epoch", epoch, epochs, best }),
    });
  } finally {
    tail.dispose();
  }
}

function definedOf({
  epochs,
  batchSize,
  seed,
}: FinetuneOptions): Partial<Record<keyof typeof runDefaults, number>> {
  return {
    ...(epochs !== undefined && { epochs }),
    ...(batchSize !== undefined && { batchSize }),
    ...(seed !== undefined && { seed }),
  };
}
