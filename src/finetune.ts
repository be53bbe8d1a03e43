import type { Checkpoint } from "./checkpoint.ts";
import { ensureEngine } from "./engine/backend.ts";
import { disposeLeftWork } from "./features/left-work.ts";
import { withValues } from "./lazy-tensor.ts";
import { openFeatures } from "./run/features.ts";
import { openRunFolder } from "./run/folder.ts";
import { trainAndJudge } from "./run/judged-validation.ts";
import { openLiveFiles } from "./run/live-files.ts";
import type { FinetuneOptions, FinetuneResult, ResumeOptions } from "./run/options.ts";
import { prepareRun } from "./run/prepare.ts";
import { announce } from "./run/prepared-run.ts";
import { runRecord } from "./run/record.ts";
import { beginningOf, finishedLine, keptArguments, startOf } from "./run/resume.ts";
import { runReport } from "./run/run-report.ts";
import { resolveOptions } from "./run/settings.ts";
import { withTest } from "./run/test-samples.ts";
import { endStage } from "./stages.ts";

/**
 * Trains what the policy leaves trainable on `data`: everything static runs once per sample, the rest at every step. Nothing is
 * written without `out`. An aborted signal or a loss that is not finite rejects once the best completed epoch is in `out`.
 * With `resume` a run goes on from its last state, to the same bits; one that is finished is returned as it is, and nothing is written.
 * @throws {UsageError | TopologyError | KerasFileError | DataError} before anything is computed where the run cannot be.
 *
 * @example
 * const { checkpoint, history, proof } = await finetune({
 *   model: "resnet50.h5",
 *   data: "photos/",
 *   freeze: freezeUntil("conv4"),
 *   out: "runs/pets",
 * });
 */
export async function finetune(given: FinetuneOptions | ResumeOptions): Promise<FinetuneResult> {
  try {
    return await finetuned(given);
  } finally {
    disposeLeftWork();
  }
}

async function finetuned(given: FinetuneOptions | ResumeOptions): Promise<FinetuneResult> {
  const started = performance.now();
  const { isResumed, finished, options, step, counts } = beginningOf(given);
  const settings = resolveOptions(options);
  const engine = await ensureEngine(settings.precision);
  endStage("engine");
  const prepared = await prepareRun(settings, { runs: !finished, started, step, counts });
  announce(prepared, finished ? [finishedLine(String(settings.out), finished)] : []);
  const folder = settings.out === null || finished ? null : openRunFolder(settings.out, settings);
  let live: Awaited<ReturnType<typeof openLiveFiles>> | undefined;
  try {
    await folder?.rehearse(prepared.checkpoint, prepared.writing);
    endStage("rehearsal");
    live = await openLiveFiles(prepared, engine, { folder, isResumed });
    const { run } = live;
    const start = startOf(run, engine, isResumed, finished !== null);
    await folder?.keepArguments(keptArguments(run, settings, engine, start), isResumed);
    const features = await openFeatures(run, engine);
    const { trained, judged } = await trainAndJudge(run, features, started, start).finally(features.close);
    const record = await withTest(run, runRecord(run, engine, features, trained, started));
    const { writing: _writing, unit: _unit, args: _args, ...result } = record;
    const page = settings.report && folder ? await runReport(run, record, judged, options) : null;
    const files = (await folder?.write(record, page)) ?? [];
    await live.end(trained, files, judged?.validation ?? null);
    if (trained.stopped !== undefined) throw trained.stopped;
    return withOwnWeights({ ...result, ...(judged && { validation: judged.validation }), files });
  } catch (error) {
    await live?.fail(error);
    folder?.discard();
    throw error;
  }
}

/** Returns the result with a checkpoint that is the caller's: its weights are read from the run's files when it is first asked for. */
function withOwnWeights(result: FinetuneResult): FinetuneResult {
  const { checkpoint } = result;
  let own: Checkpoint | undefined;
  const read = (): Checkpoint => {
    const { weights, optimizerWeights } = checkpoint;
    own ??= {
      ...checkpoint,
      weights: withValues(weights),
      ...(optimizerWeights && { optimizerWeights: withValues(optimizerWeights) }),
    };
    return own;
  };
  return Object.defineProperty(result, "checkpoint", { get: read, enumerable: true });
}
