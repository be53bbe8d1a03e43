/** @file Folder of a sweep: its record, with the outcome of each run, and its table. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { UsageError } from "../errors.ts";
import { replaceFile } from "../formats/atomic-file.ts";
import { makeFolder } from "../formats/make-folder.ts";
import { optionName, optionSetTo } from "../options.ts";
import type { Monitor } from "../training/callbacks/monitor.ts";
import { checkpointHash, datasetHash } from "./arguments.ts";
import { csvField } from "./folder.ts";
import type { RunSettings } from "./settings.ts";
import type { SweepSettings } from "./sweep-grid.ts";
import { settingsKey, settingText } from "./sweep-grid.ts";

/** One run of a sweep. */
export interface SweepRun {
  /** Counted from 1 in the order of the grid; names the run's folder. */
  readonly number: number;
  /** Values of the options that vary. */
  readonly settings: SweepSettings;
  /** `failed` where training diverged. */
  readonly status: "finished" | "failed";
  /** Figures of the best epoch: `loss`, `val_loss`, every metric. Empty for a failed run. */
  readonly metrics: Readonly<Record<string, number>>;
  /** Counted from 1; 0 for a failed run. */
  readonly bestEpoch: number;
  readonly epochs: number;
  /** Learning rate as it was decided, of the first phase; null where the optimizer has a schedule. */
  readonly learningRate: number | null;
  /** Path of the first layer that trains. */
  readonly firstTrainable: string;
  /** Seconds in epochs, all together. */
  readonly seconds: number;
  /** Run folder; null without `out`. */
  readonly out: string | null;
  /** Reason of a failed run. */
  readonly error?: string;
}

/** Record of a sweep in its folder. */
interface SweepRecord {
  /** Version of this structure. */
  readonly version: 1;
  /** Options that all runs share. */
  readonly asked: Readonly<Record<string, unknown>>;
  /** Every run by its number, null where it is not over. */
  readonly runs: readonly {
    readonly number: number;
    readonly settings: SweepSettings;
    readonly outcome: Omit<SweepRun, "number" | "settings" | "out"> | null;
  }[];
}

const recordName = "sweep.json";
const tableName = "sweep.csv";

/** Returns whether a path is a file that a sweep leaves beside its runs. */
export function isSweepFile(path: string): boolean {
  return [recordName, tableName].includes(basename(path));
}

/** Keeps the outcomes of a sweep's runs. */
export interface SweepKeeper {
  /** Returns the number of the run with these settings: the one it had before, else a new one. */
  numberOf(settings: SweepSettings): number;
  /** Folder of a run; null where nothing is written. */
  folderOf(number: number): string | null;
  /** Returns a run that is over; undefined for others. */
  outcome(number: number): SweepRun | undefined;
  keep(run: SweepRun): Promise<void>;
  /** Writes the table of the ranked runs, and returns its path; null where nothing is written. */
  writeTable(runs: readonly SweepRun[], monitor: Monitor): Promise<string | null>;
}

/**
 * Opens the folder of a sweep, which goes on where an earlier one of the same options ended; null keeps everything in memory.
 * @throws {UsageError} for a folder that holds something else and may not be overwritten.
 */
export async function openSweepFolder(
  folder: string | null,
  shared: RunSettings,
  all: readonly SweepSettings[],
): Promise<SweepKeeper> {
  const asked = sharedArguments(shared);
  const earlier = folder === null ? null : earlierRecord(folder, asked, shared.overwrite);
  const known = new Map(earlier?.runs.map((run) => [settingsKey(run.settings), run]));
  let next = Math.max(0, ...[...known.values()].map(({ number }) => number));
  const runs = new Map<string, SweepRecord["runs"][number]>(known);
  for (const settings of all) {
    const key = settingsKey(settings);
    if (!runs.has(key)) runs.set(key, { number: ++next, settings, outcome: null });
  }
  const folderOf = (number: number): string | null => folder && join(folder, String(number));
  const save = async (): Promise<void> => {
    if (folder === null) return;
    const record: SweepRecord = { version: 1, asked, runs: [...runs.values()] };
    await write(join(folder, recordName), `${JSON.stringify(record, null, 2)}\n`);
  };
  await save();
  return {
    folderOf,
    numberOf: (settings) => {
      const run = runs.get(settingsKey(settings));
      if (!run) throw new Error("sweep: expected settings of the sweep");
      return run.number;
    },
    outcome: (number) => {
      const run = [...runs.values()].find((each) => each.number === number);
      const out = folderOf(number);
      if (!run?.outcome || (out !== null && run.outcome.status === "finished" && !existsSync(out)))
        return undefined;
      return { number, settings: run.settings, ...run.outcome, out };
    },
    keep: async ({ number, settings, out: _out, ...outcome }) => {
      runs.set(settingsKey(settings), { number, settings, outcome });
      await save();
    },
    writeTable: async (ranked, monitor) => {
      if (folder === null) return null;
      const path = join(folder, tableName);
      await write(path, sweepCsv(ranked, monitor));
      return path;
    },
  };
}

/** Options that say where and how a run is kept and watched, not what it computes. */
const notCompared: ReadonlySet<string> = new Set([
  "cache",
  "cacheMax",
  "callbacks",
  "onProgress",
  "out",
  "overwrite",
  "report",
  "saveEvery",
  "signal",
]);

/** Returns the options that all runs share, as JSON that tells equal ones. */
function sharedArguments(settings: RunSettings): Readonly<Record<string, unknown>> {
  const { model, data, ...others } = settings;
  const plain = Object.fromEntries(Object.entries(others).filter(([name]) => !notCompared.has(name)));
  const asked = {
    model: typeof model === "string" ? model : { sha256: checkpointHash(model) },
    data: typeof data === "string" ? data : { sha256: datasetHash(data) },
    ...plain,
  };
  return JSON.parse(JSON.stringify(asked)) as Readonly<Record<string, unknown>>;
}

function earlierRecord(
  folder: string,
  asked: Readonly<Record<string, unknown>>,
  overwrite: boolean,
): SweepRecord | null {
  makeFolder(folder);
  const file = join(folder, recordName);
  const record = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as SweepRecord) : null;
  if (overwrite) {
    for (const { number } of record?.runs ?? [])
      rmSync(join(folder, String(number)), { recursive: true, force: true });
    return null;
  }
  const advice = `Choose another ${optionName("out")}, or ${optionSetTo("overwrite", true)}.`;
  if (!record) {
    if (readdirSync(folder).length === 0) return null;
    throw new UsageError(
      `${folder}: output: expected a new or empty folder, or one of a sweep, got one that holds other files. ${advice}`,
      "out-exists",
      "out",
    );
  }
  const names = [...new Set([...Object.keys(record.asked), ...Object.keys(asked)])];
  const changed = names.find((name) => JSON.stringify(record.asked[name]) !== JSON.stringify(asked[name]));
  if (record.version === 1 && changed === undefined) return record;
  throw new UsageError(
    `${folder}: output: expected to go on with the sweep in it, got other options than it had (${optionName(changed ?? "version")}). ${advice}`,
    "sweep-other",
    "out",
  );
}

/** Returns the table: one line for each run, the best first. */
function sweepCsv(runs: readonly SweepRun[], monitor: Monitor): string {
  const options = [...new Set(runs.flatMap(({ settings }) => Object.keys(settings)))];
  const names = metricNames(runs, monitor.name);
  const head = ["rank", "run", ...names, ...options.map((name) => `asked_${name}`), ...lastColumns];
  const rows = runs.map((run, index) => [
    run.status === "failed" ? "" : index + 1,
    run.number,
    ...names.map((name) => run.metrics[name] ?? ""),
    ...options.map((name) => settingText(run.settings[name as keyof SweepSettings])),
    run.learningRate ?? "",
    run.firstTrainable,
    run.bestEpoch,
    run.epochs,
    run.seconds.toFixed(3),
    run.status,
    run.out ?? "",
    run.error ?? "",
  ]);
  return `${[head, ...rows].map((row) => row.map((cell) => csvField(String(cell))).join(",")).join("\n")}\n`;
}

const lastColumns = [
  "learning_rate",
  "first_trainable",
  "best_epoch",
  "epochs",
  "seconds",
  "status",
  "out",
  "error",
];

/** Returns the names of the runs' figures, the one they are ranked by first. */
export function metricNames(runs: readonly SweepRun[], first: string): readonly string[] {
  return [...new Set([first, ...runs.flatMap(({ metrics }) => Object.keys(metrics))])];
}

async function write(path: string, text: string): Promise<void> {
  await replaceFile(path, async (descriptor) => writeFileSync(descriptor, text));
}
