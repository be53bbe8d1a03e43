import { randomUUID } from "node:crypto";
import { existsSync, readdirSync, rmdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type { Checkpoint, CheckpointFormat } from "../checkpoint.ts";
import type { SampleUnit } from "../data/dataset.ts";
import { MachineError, UsageError } from "../errors.ts";
import { beginUnfinished, isRunning, replaceFile } from "../formats/atomic-file.ts";
import { formatNamed, formats, nameWithoutEnding } from "../formats/formats.ts";
import { isPreset } from "../formats/hub/preset-reader.ts";
import { makeFolder } from "../formats/make-folder.ts";
import type { WriteCheckpointOptions } from "../inference/write-checkpoint.ts";
import { writeCheckpoint } from "../inference/write-checkpoint.ts";
import { optionName, optionSetTo } from "../options.ts";
import { reportPage } from "../report/html/report-page.ts";
import type { RunReport } from "../report/run-report.ts";
import { historyCsv } from "../training/history.ts";
import { finishMoves, moveIntoPlace } from "./files.ts";
import { forgetArguments, keepArguments } from "./kept-arguments.ts";
import type { FinetuneResult } from "./options.ts";

/** The format of a run's model, and how it is written. */
export type ModelWriting = Pick<WriteCheckpointOptions, "layout" | "float16" | "embedPreprocess"> & {
  readonly format: CheckpointFormat;
};

/** The folder of a run's results, checked and writable. Until `write`, everything in it stays as it was. */
export interface RunFolder {
  readonly path: string;
  /**
   * Writes the model as `write` will and keeps its place on the disk until then, so that what cannot be written is known before
   * hours of training, and a disk that fills meanwhile loses nothing.
   * @throws {UsageError | TopologyError | KerasFileError} where the format cannot hold it. @throws {MachineError} where the disk refuses.
   */
  rehearse(checkpoint: Checkpoint, writing: ModelWriting): Promise<void>;
  /**
   * Keeps the run's arguments in the folder before anything is extracted, so that it can be resumed. What `write` puts into args.json.
   * @throws {MachineError} where the disk refuses.
   */
  keepArguments(args: Readonly<Record<string, unknown>>, isResumed: boolean): Promise<void>;
  /**
   * Writes every file beside the old ones, then moves all into place: whatever is killed, and when, the folder holds the earlier
   * run or this one, whole, once `finishMoves` has looked at it. Returns their paths, the model's first.
   * @throws {MachineError} where the disk refuses; the old files are untouched then.
   */
  write(record: RunRecord, report?: RunReport | null): Promise<readonly string[]>;
  /** Removes what `openRunFolder` and `keepArguments` made, if nothing was written and no state saved. */
  discard(): void;
}

/** The results of a run, as they are written. */
export interface RunRecord extends Omit<FinetuneResult, "files"> {
  readonly writing: ModelWriting;
  /** The name of the samples, in which the list of bad files is called. */
  readonly unit: SampleUnit;
  /** Every option as it was decided. */
  readonly args: Readonly<Record<string, unknown>>;
}

const partialPrefix = ".partial-";
/** Bytes that the texts beside the model may take. */
const spareBytes = 1 << 20;

/**
 * Makes the folder at `path` ready for a run's results.
 * @throws {UsageError} where `path` is a file, another run writes there, or something is in it and `overwrite` is not set.
 * @throws {MachineError} where it cannot be made or written.
 */
export function openRunFolder(
  path: string,
  { overwrite = false }: { readonly overwrite?: boolean } = {},
): RunFolder {
  const found = disk(path, () => statSync(path, { throwIfNoEntry: false }));
  if (found && !found.isDirectory()) {
    throw new UsageError(
      `${path}: output: expected a folder, got a file. Choose another ${optionName("out")}.`,
      "out-is-a-file",
      "out",
    );
  }
  if (found) disk(path, () => tidy(path));
  const entries = found ? disk(path, () => readdirSync(path)).filter((name) => !isStaging(name)) : [];
  if (entries.length > 0 && !overwrite) {
    throw new UsageError(
      `${path}: output: expected a new or empty folder, got one that holds ${listed(entries)}. ` +
        `Choose another ${optionName("out")}, or ${optionSetTo("overwrite", true)} to replace an earlier run.`,
      "out-exists",
      "out",
    );
  }
  const staging = join(path, `${partialPrefix}${process.pid}-${randomUUID().slice(0, 8)}`);
  const end = beginUnfinished(staging);
  const made = disk(path, () => {
    try {
      return makeFolder(staging);
    } catch (error) {
      end();
      throw error;
    }
  });
  let written = false;
  let kept: string | null = null;
  let isAnew = false;
  const discard = (): void => {
    if (written) return;
    rmSync(staging, { recursive: true, force: true });
    end();
    if (isAnew) forgetArguments(path);
    if (made !== null) removeEmpty(resolve(path), dirname(made));
  };
  const other = readdirSync(path).find((name) => isStaging(name) && name !== basename(staging));
  if (other !== undefined) {
    discard();
    throw new UsageError(
      `${path}: output: expected a folder that no other run writes to, got one of process ${writerOf(other)}. Choose another ${optionName("out")}, or wait for it.`,
      "out-in-use",
      "out",
    );
  }
  return {
    path,
    discard,
    rehearse: async (checkpoint, writing) => {
      try {
        await writeCheckpoint(join(staging, formatNamed(writing.format).fileName), checkpoint, writing);
        writeFileSync(join(staging, "spare"), Buffer.alloc(spareBytes));
      } catch (error) {
        throw asRunError(path, staging, error);
      }
    },
    keepArguments: async (args, isResumed) => {
      kept = json(args);
      isAnew = !isResumed;
      try {
        await keepArguments(path, staging, kept, isResumed);
      } catch (error) {
        throw asRunError(path, staging, error);
      }
    },
    write: async (record, report = null) => {
      try {
        for (const name of readdirSync(staging)) await rm(join(staging, name), { recursive: true });
        const names = await stage(staging, record, kept ?? json(record.args), report);
        moveIntoPlace(path, staging);
        written = true;
        return names.map((name) => join(path, name));
      } catch (error) {
        throw asRunError(path, staging, error);
      } finally {
        await rm(staging, { recursive: true, force: true });
        end();
      }
    },
  };
}

/**
 * Makes `runs/<model>-<n>` with the first free number, from the model's file or folder name: no other run gets the same.
 * @throws {MachineError} where it cannot be made.
 */
export function makeRunFolder(model: string, parent = "runs"): string {
  const name = nameWithoutEnding(model).replace(/\.json$/i, "") || "model";
  for (let n = 1; ; n++) {
    const path = join(parent, `${name}-${n}`);
    if (existsSync(path)) continue;
    const isNew = disk(path, () => makeFolder(path)) !== null;
    if (isNew) return path;
  }
}

/** Removes what `makeRunFolder` made, if nothing is in it. */
export function removeRunFolder(path: string): void {
  removeEmpty(path, dirname(dirname(path)));
}

/** Returns the model file that `path` means: the model inside a run folder, else `path` itself. */
export function modelFileAt(path: string): string {
  if (!existsSync(path) || !statSync(path).isDirectory()) return path;
  if (isPreset(path)) return path;
  finishMoves(path);
  const inside = formats.map(({ fileName }) => join(path, fileName));
  return inside.find(existsSync) ?? path;
}

async function stage(
  staging: string,
  record: RunRecord,
  args: string,
  report: RunReport | null,
): Promise<readonly string[]> {
  const { cost, ...plan } = record.plan;
  const { engine, threads, precision, bestEpoch, features, measured, proof, test, bad, unit } = record;
  const labels = record.checkpoint.notes.labels;
  const texts: [name: string, text: string][] = [
    ["args.json", args],
    ["history.csv", historyCsv(record.history)],
    [
      "plan.json",
      json({
        engine,
        threads,
        precision,
        bestEpoch,
        plan,
        predicted: cost ?? null,
        measured,
        features,
        test,
        proof,
      }),
    ],
  ];
  if (report) texts.push(["report.json", json(report)], ["report.html", reportPage(report)]);
  if (labels) texts.unshift(["labels.json", json(labels)]);
  if (bad.length > 0) {
    const rows = bad.map(({ path, reason }) => [path, reason].map(csvField).join(","));
    texts.push([`bad-${unit}.csv`, `${["path,reason", ...rows].join("\n")}\n`]);
  }
  const model = formatNamed(record.writing.format).fileName;
  makeFolder(staging);
  await writeCheckpoint(join(staging, model), record.checkpoint, record.writing);
  for (const [name, text] of texts) {
    await replaceFile(join(staging, name), async (file) => writeFileSync(file, text));
  }
  return [model, ...texts.map(([name]) => name)];
}

/** Ends what killed runs left half done. */
function tidy(path: string): void {
  finishMoves(path);
  for (const name of readdirSync(path).filter(isStaging)) {
    if (!isRunning(writerOf(name))) rmSync(join(path, name), { recursive: true, force: true });
  }
}

function isStaging(name: string): boolean {
  return name.startsWith(partialPrefix);
}

/** The process that a staging folder's name tells. */
function writerOf(name: string): number {
  return Number.parseInt(name.slice(partialPrefix.length), 10);
}

function removeEmpty(path: string, stop: string): void {
  for (let folder = path; folder !== stop && folder !== dirname(folder); folder = dirname(folder)) {
    try {
      rmdirSync(folder);
    } catch {
      return;
    }
  }
}

function disk<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw asMachineError(path, error);
  }
}

/** The error in terms of the folder that the caller knows. */
function asRunError(path: string, staging: string, error: unknown): unknown {
  const known = asMachineError(path, error);
  if (known instanceof Error) known.message = known.message.replaceAll(staging, path);
  return known;
}

function asMachineError(path: string, error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  if (!(error instanceof Error) || typeof code !== "string" || !/^E[A-Z0-9]+$/.test(code)) return error;
  return new MachineError(
    `${path}: output: expected a folder that can be written, got ${error.message}. Choose another ${optionName("out")}, or make room there.`,
    "out-not-writable",
    "out",
  );
}

function listed(names: readonly string[]): string {
  const shown = [...names].sort().slice(0, 3).join(", ");
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown;
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** Returns a text as a field of a CSV file. */
export function csvField(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
