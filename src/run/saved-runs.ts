/** @file Runs as their folders keep them. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { DataError, UsageError } from "../errors.ts";
import { replaceFile } from "../formats/atomic-file.ts";
import { comparisonPage } from "../report/html/comparison-page.ts";
import { reportPage } from "../report/html/report-page.ts";
import type { RunReport } from "../report/run-report.ts";
import { finishMoves } from "./files.ts";
import { holdsRateSearch, writeRatePage } from "./learning-rate-folder.ts";
import { isSweepFile } from "./sweep-folder.ts";

/** A run's folder and what it says of itself. */
export interface SavedRun {
  readonly path: string;
  readonly report: RunReport;
}

/** One line of a list of runs. */
export interface RunSummary {
  readonly path: string;
  /** ISO 8601. */
  readonly finished: string;
  readonly epochs: number;
  readonly bestEpoch: number;
  /** Every figure of the best epoch, by its name. */
  readonly figures: Readonly<Record<string, number>>;
  /** Path of the first layer that trains, null where none does. */
  readonly cut: string | null;
  /** Seconds in epochs, all together. */
  readonly seconds: number;
}

const reportName = "report.json";

/**
 * Reads a run's report.
 * @throws {DataError} where the folder holds none, or one of another version.
 */
export function readRun(path: string): SavedRun {
  if (existsSync(path)) finishMoves(path);
  const file = join(path, reportName);
  if (!existsSync(file)) {
    throw new DataError(
      `${path}: expected a run folder with ${reportName}, got none. Train with an output folder, and without switching the report off.`,
      "no-report",
    );
  }
  const report = parsedReport(file);
  if (report?.version === 1) return { path, report };
  throw new DataError(
    `${file}: expected a report of version 1, got another. Train the run again.`,
    "no-report",
  );
}

function parsedReport(file: string): RunReport | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as RunReport;
  } catch {
    return undefined;
  }
}

/** Returns the runs in the folders directly below `folder`, in the order of their names. */
export function runsBelow(folder: string): readonly RunSummary[] {
  if (!existsSync(folder)) {
    throw new UsageError(`${folder}: expected a folder of runs, got none of that name.`, "no-runs");
  }
  const names = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return names
    .map((entry) => join(folder, entry.name))
    .filter((path) => existsSync(join(path, reportName)))
    .sort()
    .map((path) => summaryOf(readRun(path)));
}

function summaryOf({ path, report }: SavedRun): RunSummary {
  const { history, bestEpoch, layers, finished } = report;
  const best = history.find(({ epoch }) => epoch === bestEpoch) ?? {};
  const figures = Object.entries(best).filter(([name]) => !["epoch", "phase", "seconds"].includes(name));
  return {
    path,
    finished,
    epochs: history.length,
    bestEpoch,
    figures: Object.fromEntries(figures.filter((entry): entry is [string, number] => entry[1] !== undefined)),
    cut: layers.find(({ trainable }) => trainable)?.path ?? null,
    seconds: history.reduce((sum, epoch) => sum + (epoch["seconds"] ?? 0), 0),
  };
}

/**
 * Writes the page of one run, or of a learning-rate search, into its folder, or of several runs to `target`, and returns where it is.
 * The files that a sweep leaves beside its runs are passed over.
 * @throws {DataError} where a folder holds no report.
 */
export async function writeReport(paths: readonly string[], target: string | undefined): Promise<string> {
  const [first] = paths;
  if (first !== undefined && paths.length === 1 && holdsRateSearch(first))
    return writeRatePage(first, target);
  const runs = paths.filter((path) => !isSweepFile(path)).map(readRun);
  const [only] = runs;
  const html =
    only && runs.length === 1
      ? reportPage(only.report)
      : comparisonPage(runs.map(({ path, report }) => ({ name: basename(path), report })));
  const place = target ?? (only && runs.length === 1 ? join(only.path, "report.html") : "comparison.html");
  await replaceFile(place, async (descriptor) => writeFileSync(descriptor, html));
  return place;
}
