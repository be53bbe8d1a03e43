import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { storedDataset } from "./data/dataset.ts";
import { openData } from "./data/model-files.ts";
import { ensureEngine } from "./engine/backend.ts";
import { TopologyError } from "./errors.ts";
import { finetune } from "./finetune.ts";
import { dataOptions } from "./run/data-options.ts";
import { openModel } from "./run/open-model.ts";
import type { FinetuneOptions, FinetuneResult } from "./run/options.ts";
import { prepareRun } from "./run/prepare.ts";
import { isResumable } from "./run/resume.ts";
import type { RunSettings } from "./run/settings.ts";
import { resolveOptions } from "./run/settings.ts";
import { extractForSweep } from "./run/sweep-features.ts";
import type { SweepRun } from "./run/sweep-folder.ts";
import { openSweepFolder } from "./run/sweep-folder.ts";
import type { SweepGrid, SweepSettings } from "./run/sweep-grid.ts";
import { gridSettings, optionsWith } from "./run/sweep-grid.ts";
import type { Monitor } from "./training/callbacks/monitor.ts";
import { monitorOf } from "./training/callbacks/monitor.ts";

/** Options of a sweep: those that all its runs share, and the values to try of others. */
export interface SweepOptions extends FinetuneOptions {
  /** Values to try of each option that varies; every combination is a run. */
  readonly grid: SweepGrid;
  /** Called before each run with its number in `count`, and after it with how it went. */
  readonly onRun?: ((run: SweepProgress) => void) | undefined;
}

/** A run of a sweep that begins, or is over. */
export interface SweepProgress {
  /** Counted from 1 in the order of the grid. */
  readonly place: number;
  readonly count: number;
  readonly settings: SweepSettings;
  /** Absent where the run begins. */
  readonly outcome?: SweepRun;
  /** True if an earlier call has made the run. */
  readonly isKept: boolean;
}

/** The runs of a sweep, ranked. */
export interface Sweep {
  /** The best run first; failed runs last. */
  readonly runs: readonly SweepRun[];
  /** The figure that ranks the runs, and the direction in which it is better. */
  readonly monitor: Monitor;
  /** Samples that went through the model's frozen part, over all runs, and the seconds that this took. */
  readonly features: { readonly extracted: number; readonly seconds: number };
  /** Path of the table as CSV; null without `out`. */
  readonly table: string | null;
}

/**
 * Trains a model once for each combination of the grid's values, and ranks the runs by `monitor`. Features are extracted once: those of
 * the earliest cut from the samples, those of later cuts from the earlier ones; where `cache` is false, in a temporary folder. A run that
 * diverges is a row of the table like the others.
 *
 * With `out`, each run is a run folder in it, `<out>/1`, `<out>/2`, …, beside `sweep.csv` and `sweep.json`. Called again with the same
 * options it goes on: finished runs stay as they are, and one that was stopped is resumed to the same bits. A grid with more values adds
 * runs. With `overwrite` the earlier sweep's runs are removed first.
 *
 * @throws {UsageError | TopologyError | KerasFileError | DataError} for whatever would stop any of the runs, before anything is
 * computed.
 *
 * @example
 * const { runs } = await sweep({
 *   model: "resnet50.h5",
 *   data: "photos/",
 *   grid: { freeze: [freezeUntil("conv4"), freezeUntil("conv5")], learningRate: [1e-3, 1e-4] },
 *   out: "runs/sweep",
 * });
 * console.log(runs[0]?.settings, runs[0]?.metrics);
 */
export async function sweep(given: SweepOptions): Promise<Sweep> {
  const { grid, onRun, ...base } = given;
  const all = gridSettings(grid, base);
  const shared = resolveOptions(base);
  if (shared.monitor !== "auto") monitorOf(shared.monitor);
  const engine = await ensureEngine();
  const planned = await planRuns(base, all);
  const { out } = shared;
  const keeper = await openSweepFolder(out, shared, all);
  const temporary = shared.cache === false ? await featureFolder(out) : undefined;
  const options = { ...base, ...(temporary !== undefined && { cache: temporary }) };
  const runs: SweepRun[] = [];
  const open = all.filter((settings) => !keeper.outcome(keeper.numberOf(settings)));
  let features = await extractForSweep(
    open.map((settings) => resolveOptions(optionsWith(options, settings))),
    engine,
  );
  for (const [index, plan] of planned.entries()) {
    const { settings } = plan;
    const number = keeper.numberOf(settings);
    const kept = keeper.outcome(number);
    const progress = { place: index + 1, count: all.length, settings };
    if (!kept) onRun?.({ ...progress, isKept: false });
    const made = kept ? null : await makeRun(options, plan, number, keeper.folderOf(number));
    const outcome = kept ?? made?.run;
    if (!outcome) continue;
    if (made) {
      features = {
        extracted: features.extracted + made.extracted,
        seconds: features.seconds + made.seconds,
      };
      await keeper.keep(outcome);
    }
    runs.push(outcome);
    onRun?.({ ...progress, outcome, isKept: kept !== undefined });
  }
  if (temporary !== undefined) await rm(temporary, { recursive: true, force: true });
  const monitor = monitorAmong(shared, runs);
  const ranked = rankedRuns(runs, monitor);
  return { runs: ranked, monitor, features, table: await keeper.writeTable(ranked, monitor) };
}

/** A run of the sweep that can be made. */
interface PlannedRun extends Pick<SweepRun, "learningRate" | "firstTrainable"> {
  readonly settings: SweepSettings;
}

/** Prepares every run on a model and data that are opened once, and so finds what would stop it. */
async function planRuns(
  base: FinetuneOptions,
  all: readonly SweepSettings[],
): Promise<readonly PlannedRun[]> {
  const shared = resolveOptions(base);
  const model = await openModel(shared);
  const data =
    typeof shared.data === "string"
      ? await openData(model, shared.data, dataOptions(shared))
      : storedDataset(shared.data);
  const runs: PlannedRun[] = [];
  for (const settings of all) {
    const resolved = resolveOptions(optionsWith(base, settings));
    const { settings: decided, phases, plan } = await prepareRun({ ...resolved, model, data });
    const rate = phases[0]?.optimizer.settings["learning_rate"];
    const learningRate = typeof rate === "number" ? rate : null;
    runs.push({ settings, learningRate, firstTrainable: plan.firstTrainable });
    decided.signal?.throwIfAborted();
  }
  return runs;
}

/** A run that was made, and what it extracted itself. */
interface MadeRun {
  readonly run: SweepRun;
  readonly extracted: number;
  readonly seconds: number;
}

/** Makes one run, or goes on with it where it was stopped. Training that diverges is an outcome. */
async function makeRun(
  base: FinetuneOptions,
  { settings, learningRate, firstTrainable }: PlannedRun,
  number: number,
  out: string | null,
): Promise<MadeRun> {
  const facts = { number, settings, learningRate, firstTrainable, out };
  try {
    const result = await startOrResume(optionsWith(base, settings), out);
    const { history, bestEpoch, features } = result;
    const seconds = history.reduce((sum, epoch) => sum + epoch.seconds, 0);
    return {
      run: {
        ...facts,
        status: "finished",
        metrics: bestMetrics(result),
        bestEpoch,
        epochs: history.length,
        seconds,
      },
      extracted: features.extracted,
      seconds: features.seconds,
    };
  } catch (error) {
    if (!(error instanceof TopologyError) || error.code !== "not-finite") throw error;
    const none = { metrics: {}, bestEpoch: 0, epochs: 0, seconds: 0 };
    return {
      run: { ...facts, status: "failed", ...none, error: error.message },
      extracted: 0,
      seconds: 0,
    };
  }
}

function startOrResume(options: FinetuneOptions, out: string | null): Promise<FinetuneResult> {
  if (out === null) return finetune({ ...options, out: undefined });
  if (!isResumable(out)) return finetune({ ...options, out, overwrite: true });
  const { model, data, loss, metrics, weightedMetrics, callbacks, onProgress, signal } = options;
  return finetune({
    resume: out,
    ...(typeof model !== "string" && { model }),
    ...(typeof data !== "string" && { data }),
    ...{ loss, metrics, weightedMetrics, callbacks, onProgress, signal },
  });
}

/** Figures of an epoch that are no metrics. */
const notMetrics: ReadonlySet<string> = new Set(["epoch", "phase", "lr", "seconds"]);

function bestMetrics({ history, bestEpoch }: FinetuneResult): Readonly<Record<string, number>> {
  const best = history.find(({ epoch }) => epoch === bestEpoch) ?? {};
  return Object.fromEntries(
    Object.entries(best).filter(
      (entry): entry is [string, number] => !notMetrics.has(entry[0]) && typeof entry[1] === "number",
    ),
  );
}

/** Returns the figure that ranks the runs: the one that was asked for, else `val_loss`, without validation data the loss. */
function monitorAmong({ monitor }: RunSettings, runs: readonly SweepRun[]): Monitor {
  if (monitor !== "auto") return monitorOf(monitor);
  return monitorOf(runs.some(({ metrics }) => "val_loss" in metrics) ? "val_loss" : "loss");
}

function rankedRuns(runs: readonly SweepRun[], { name, direction }: Monitor): readonly SweepRun[] {
  const worst = direction === "min" ? Infinity : -Infinity;
  const rankValue = ({ metrics }: SweepRun): number => {
    const value = metrics[name] ?? Number.NaN;
    return Number.isNaN(value) ? worst : value;
  };
  const sign = direction === "min" ? 1 : -1;
  return runs.toSorted((one, other) => {
    const failed = Number(one.status === "failed") - Number(other.status === "failed");
    if (failed !== 0) return failed;
    const [a, b] = [rankValue(one), rankValue(other)];
    return a === b ? one.number - other.number : sign * (a - b);
  });
}

/** Returns the folder of the features for a sweep without a cache: always the same one beside the runs. */
async function featureFolder(out: string | null): Promise<string> {
  return out === null ? mkdtemp(join(tmpdir(), "keras-finetune-sweep-")) : join(out, ".features");
}
