/** @file Files that a run writes while it goes, for those who follow it: events.jsonl, and TensorBoard's. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { EngineInfo } from "../engine/engine-info.ts";
import { optionError } from "../options.ts";
import type { SplitReport } from "../report/run-report.ts";
import type { TensorBoard } from "../report/tensorboard.ts";
import { tensorBoard } from "../report/tensorboard.ts";
import type { Hyperparameter } from "../report/tensorboard-events.ts";
import { argumentsOf } from "./arguments.ts";
import { eventsName, forgetEarlierEvents, putEventsBack, setEventsAside } from "./earlier-events.ts";
import { openEventFile } from "./event-file.ts";
import type { RunFolder } from "./folder.ts";
import { stateFile } from "./kept-arguments.ts";
import type { PreparedRun } from "./prepared-run.ts";
import type { RunTraining } from "./training.ts";

export interface LiveFiles {
  /** The run, which tells the files what happens. */
  readonly run: PreparedRun;
  /** Writes how the run ended, and its judged validation samples for TensorBoard; says what is kept of a run that was stopped. */
  end(trained: RunTraining, files: readonly string[], judged: SplitReport | null): Promise<void>;
  /** Writes why the run failed unless its end is written; removes the files of a run that left nothing to go on from. */
  fail(error: unknown): Promise<void>;
}

/**
 * Opens the files in the run's folder. A run without one writes none, nor one that is finished.
 * @throws {UsageError} for TensorBoard's events without a folder.
 */
export async function openLiveFiles(
  run: PreparedRun,
  engine: EngineInfo,
  { folder, isResumed }: { readonly folder: RunFolder | null; readonly isResumed: boolean },
): Promise<LiveFiles> {
  const { settings } = run;
  const { onProgress, callbacks } = settings;
  if (settings.tensorboard && settings.out === null) {
    throw optionError("out", "a folder for TensorBoard's events", undefined);
  }
  if (!folder) return { run, end: async (trained) => tellStop(run, trained, []), fail: async () => {} };
  const { path: out } = folder;
  const warn = (what: string) => (reason: string) =>
    onProgress({ kind: "warning", message: `${what} cannot be written, and the run goes on: ${reason}` });
  if (!isResumed) setEventsAside(out);
  const events = openEventFile(join(out, eventsName), { isResumed, onFailure: warn(eventsName) });
  const { model, data, epochs } = settings;
  const named = (given: unknown): string | null => (typeof given === "string" ? given : null);
  const place = { model: named(model), data: named(data) };
  events.write({
    kind: "start",
    process: process.pid,
    engine: engine.name,
    ...place,
    epochs,
    resumed: isResumed,
  });
  for (const message of run.messages) events.write({ kind: "note", message });
  for (const message of run.warnings) events.write({ kind: "warning", message });
  events.write({ kind: "plan", plan: run.plan, lines: run.planLines });
  const board = settings.tensorboard
    ? await tensorBoard({
        folder: out,
        hyperparameters: hyperparametersOf(argumentsOf(settings)),
        onFailure: warn("TensorBoard's events"),
      })
    : null;
  let isOver = false;
  const finish = async (
    event: Parameters<typeof events.write>[0],
    ...[status, judged, epoch]: Parameters<TensorBoard["close"]>
  ): Promise<void> => {
    if (isOver) return;
    isOver = true;
    events.write(event);
    events.close();
    await board?.close(status, judged, epoch);
  };
  return {
    run: {
      ...run,
      settings: {
        ...settings,
        callbacks: board ? [...callbacks, board] : callbacks,
        onProgress: (event) => {
          events.write(event);
          onProgress(event);
        },
      },
    },
    end: async (trained, files, judged) => {
      const { bestEpoch, stopped } = trained;
      tellStop(run, trained, files);
      const isStopped = stopped !== undefined;
      const status = isStopped
        ? ({ status: "stopped", message: textOf(stopped) } as const)
        : { status: "complete" as const };
      await finish(
        { kind: "end", ...status, bestEpoch, files },
        isStopped ? "failure" : "success",
        judged,
        bestEpoch,
      );
      if (files.length > 0) forgetEarlierEvents(out);
    },
    fail: async (error) => {
      const isKept = isOver || isResumed || existsSync(stateFile(out));
      await finish({ kind: "end", status: "failed", message: textOf(error) }, "failure");
      if (!isKept) putEventsBack(out);
    },
  };
}

/** Says after which epoch a run was stopped, and what is kept of it. */
function tellStop(
  { settings }: PreparedRun,
  { history, bestEpoch, stopped }: RunTraining,
  files: readonly string[],
): void {
  if (stopped === undefined) return;
  const kept = files.length > 0 ? `; epoch ${bestEpoch}, the best, is saved in ${settings.out}` : "";
  settings.onProgress({ kind: "note", message: `stopped   after epoch ${history.length}${kept}` });
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Returns the settings of a run that TensorBoard's hparams page takes: numbers, texts and switches; what is composed as JSON. */
function hyperparametersOf(
  settings: Readonly<Record<string, unknown>>,
): Readonly<Record<string, Hyperparameter>> {
  const entries = Object.entries(settings).flatMap(
    ([name, value]): readonly (readonly [string, Hyperparameter])[] => {
      if (value === null || notHyperparameters.has(name)) return [];
      if (typeof value === "number" || typeof value === "string" || typeof value === "boolean")
        return [[name, value]];
      return [[name, JSON.stringify(value)]];
    },
  );
  return Object.fromEntries(entries);
}

/** Settings that say where and how a run was kept, not what it is. */
const notHyperparameters: ReadonlySet<string> = new Set([
  "cache",
  "cacheMax",
  "out",
  "overwrite",
  "report",
  "saveEvery",
  "tensorboard",
]);
