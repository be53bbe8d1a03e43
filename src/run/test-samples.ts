import type { Checkpoint } from "../checkpoint.ts";
import type { Evaluation } from "../inference/evaluate.ts";
import { evaluate } from "../inference/evaluate.ts";
import type { RunRecord } from "./folder.ts";
import type { PreparedRun } from "./prepared-run.ts";

/**
 * Adds the tuned model's figures on the samples of test, by the run's own task, where there are any. A run that has trained is not ended
 * by samples of test that cannot be used: a warning says why there are no figures.
 */
export async function withTest(run: PreparedRun, record: RunRecord): Promise<RunRecord> {
  try {
    const test = await evaluateTest(run, record.checkpoint);
    return test ? { ...record, test } : record;
  } catch (error) {
    const { message } = error as Error;
    run.settings.onProgress({ kind: "warning", message: `test samples were not evaluated: ${message}` });
    return record;
  }
}

async function evaluateTest(
  { dataset, settings, task }: PreparedRun,
  checkpoint: Checkpoint,
): Promise<Evaluation | undefined> {
  const hasTest =
    dataset.kind === "arrays"
      ? dataset.test !== undefined
      : dataset.samples.some(({ split }) => split === "test");
  if (!hasTest) return undefined;
  const byName = <T>(pick: (output: (typeof task.outputs)[number]) => T) =>
    Object.fromEntries(task.outputs.map((output) => [output.name, pick(output)]));
  const losses = task.outputs.flatMap(({ name, loss }) => (loss === null ? [] : [[name, loss] as const]));
  return evaluate(checkpoint, dataset, {
    split: "test",
    loss: Object.fromEntries(losses),
    lossWeights: byName(({ lossWeight }) => lossWeight),
    metrics: byName(({ metrics }) => metrics),
    weightedMetrics: byName(({ weightedMetrics }) => weightedMetrics),
    batchSize: settings.batchSize,
    exif: settings.exif,
    ...(settings.imageSize && { imageSize: settings.imageSize }),
    ...(settings.preprocess !== null && { preprocess: settings.preprocess }),
  });
}
