/** @file The arguments of a run in its folder, from before anything is extracted: what a resumed run is prepared from. */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Precision } from "../engine/precision.ts";
import { KerasFileError } from "../errors.ts";
import { replaceFile } from "../formats/atomic-file.ts";
import { makeFolder } from "../formats/make-folder.ts";
import { waitingArguments } from "./files.ts";

/** Options as the caller gave them, from which the run can be prepared again to the same bits. */
export interface AskedOptions {
  readonly asked: Readonly<Record<string, unknown>>;
  /** Names of the options whose values JSON cannot hold: checkpoints, datasets, functions. A caller who goes on passes them again. */
  readonly again: readonly string[];
}

/** The part of args.json that `resume` reads. */
export interface KeptArguments {
  readonly epochs: number;
  readonly batchSize: number;
  readonly accumulate: number;
  readonly phases: unknown;
  readonly layerDecay: number | null;
  readonly threads?: number;
  readonly precision?: Precision;
  readonly resume: AskedOptions & {
    /** Hashes and names that the run must have again: of its model, its data and its engine. */
    readonly belongsTo: Readonly<Record<string, string>>;
  };
}

const stateFolder = (out: string): string => join(out, "state");
/** The last state of the run in the folder. */
export const stateFile = (out: string): string => join(stateFolder(out), "training.state");

/** Tells if the folder holds the results of a run. */
export function hasResults(out: string): boolean {
  return existsSync(join(out, "history.csv"));
}

/** Returns the file of the arguments that the folder's state belongs to; null where there is none. */
function argumentsFile(out: string): string | null {
  return [waitingArguments(out), join(out, "args.json")].find(existsSync) ?? null;
}

/** Returns the arguments of the run in a folder, null where it holds none that can be resumed. */
export function readArguments(out: string): KeptArguments | null {
  const file = argumentsFile(out);
  if (file === null) return null;
  try {
    const kept = JSON.parse(readFileSync(file, "utf8")) as Partial<KeptArguments>;
    return kept.resume ? (kept as KeptArguments) : null;
  } catch (error) {
    throw new KerasFileError(
      `${file}: expected the arguments of a run in JSON, got ${error instanceof Error ? error.message : error}. Remove the file and start the run again.`,
      "arguments",
    );
  }
}

/**
 * Puts the arguments of a run into its folder, whole or not at all, by way of `staging`, a folder inside it. Beside the results of an
 * earlier run they wait in `state/`, so that these stay whole. Where the run begins anew, an earlier run's state goes.
 */
export async function keepArguments(
  out: string,
  staging: string,
  text: string,
  isResumed: boolean,
): Promise<void> {
  const place = hasResults(out) ? waitingArguments(out) : join(out, "args.json");
  const isBeside = place === waitingArguments(out);
  const made = join(staging, isBeside && !isResumed ? "state" : ".");
  makeFolder(made);
  await replaceFile(join(made, "args.json"), async (file) => writeFileSync(file, text));
  if (!isResumed) rmSync(stateFolder(out), { recursive: true, force: true });
  if (isBeside && !isResumed) {
    renameSync(made, stateFolder(out));
    return;
  }
  if (isBeside) makeFolder(stateFolder(out));
  renameSync(join(made, "args.json"), place);
}

/** Removes what `keepArguments` put there for a run that begins anew, unless a state has been saved since. */
export function forgetArguments(out: string): void {
  if (existsSync(stateFile(out))) return;
  rmSync(stateFolder(out), { recursive: true, force: true });
  if (!hasResults(out)) rmSync(join(out, "args.json"), { force: true });
}
