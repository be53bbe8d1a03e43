import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { storedDataset } from "./data/dataset.ts";
import { openData } from "./data/model-files.ts";
import { ensureEngine } from "./engine/backend.ts";
import type { EngineInfo } from "./engine/engine-info.ts";
import { TopologyError } from "./errors.ts";
import { sharingFeatures } from "./features/array-memory.ts";
import { finetune } from "./finetune.ts";
import { dataOptions } from "./run/data-options.ts";
import { openModel } from "./run/open-model.ts";
import type { FinetuneOptions, FinetuneResult } from "./run/options.ts";
import { prepareRun } from "./run/prepare.ts";
import { resumptionOf } from "./run/resume.ts";
import type { RunSettings } from "./run/settings.ts";
import { resolveOptions } from "./run/settings.ts";
import { extractForSweep } from "./run/sweep-features.ts";
import type { SweepKeeper, SweepRun } from "./run/sweep-folder.ts";
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
  const engine = await ensureEngine(shared.precision);
  const planned = await planRuns(base, all);
  const { out } = shared;
  const keeper = await openSweepFolder(out, shared, all);
  const { data } = shared;
  const train = (): Promise<TrainedSweep> => trainAll(base, planned, keeper, engine, onRun);
  const isArrays = typeof data !== "string" && data.kind === "arrays";
  const { runs, features } = isArrays ? await sharingFeatures(data, train) : await train();
  const monitor = monitorAmong(shared, runs);
  const ranked = rankedRuns(runs, monitor);
  return { runs: ranked, monitor, features, table: await keeper.writeTable(ranked, monitor) };
}

type TrainedSweep = Pick<Sweep, "runs" | "features">;

/** Makes the runs that are not there yet, after the extraction for them. */
async function trainAll(
  base: FinetuneOptions,
  planned: readonly PlannedRun[],
  keeper: SweepKeeper,
  engine: EngineInfo,
  onRun: SweepOptions["onRun"],
): Promise<TrainedSweep> {
  const temporary = base.cache === false ? await temporaryCache(base.out ?? null) : null;
  const options = { ...base, ...(temporary && { cache: temporary.folder }) };
  try {
    const open = planned.filter(({ settings }) => !keeper.outcome(keeper.numberOf(settings)));
    let features: TrainedSweep["features"] = await extractForSweep(
      open.map(({ settings }) => resolveOptions(optionsWith(options, settings))),
      engine,
    );
    const runs: SweepRun[] = [];
    for (const [index, plan] of planned.entries()) {
      const { settings } = plan;
      const number = keeper.numberOf(settings);
      const progress = { place: index + 1, count: planned.length, settings };
      const kept = keeper.outcome(number);
      if (kept) {
        runs.push(kept);
        onRun?.({ ...progress, outcome: kept, isKept: true });
        continue;
      }
      onRun?.({ ...progress, isKept: false });
      const { run, extracted, seconds } = await makeRun(options, plan, number, keeper.folderOf(number));
      features = { extracted: features.extracted + extracted, seconds: features.seconds + seconds };
      await keeper.keep(run);
      runs.push(run);
      onRun?.({ ...progress, outcome: run, isKept: false });
    }
    await temporary?.remove();
    return { runs, features };
  } catch (error) {
    if (base.out === undefined) await temporary?.remove();
    throw error;
  }
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
    const {
      settings: decided,
      phases,
      plan,
    } = await prepareRun({ ...resolved, model, data }, { isTimed: false });
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
  return finetune(resumptionOf(out, options) ?? { ...options, out, overwrite: true });
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

/** Returns the runs, the best first; of equal ones that with the lower loss, of failed ones the last. */
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
    return a === b ? lossOf(one) - lossOf(other) || one.number - other.number : sign * (a - b);
  });
}

function lossOf({ metrics }: SweepRun): number {
  return metrics["val_loss"] ?? metrics["loss"] ?? 0;
}

/** A folder for the features of a sweep that has no cache. */
interface TemporaryCache {
  readonly folder: string;
  remove(): Promise<void>;
}

/** Returns a folder beside the runs, always the same one, so that a sweep that goes on finds it; without `out` a new one. */
async function temporaryCache(out: string | null): Promise<TemporaryCache> {
  const folder =
    out === null ? await mkdtemp(join(tmpdir(), "keras-finetune-sweep-")) : join(out, ".features");
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) };
}
