import { randomUUID } from "node:crypto";
import { readdirSync, renameSync, rmdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { isRunning } from "../formats/atomic-file.ts";
import { formats } from "../formats/formats.ts";

const recordNames = [
  "labels.json",
  "args.json",
  "history.csv",
  "plan.json",
  "report.json",
  "report.html",
  "bad-images.csv",
  "bad-texts.csv",
];

/**
 * The files of a run that is complete lie in a folder inside the run folder until all are in their places. Its name says how far
 * that is, and the process that does it: `.complete-` the earlier run is whole, `.moving-` its files are gone or replaced.
 */
const completePrefix = ".complete-";
const movingPrefix = ".moving-";

/** The arguments of a run that is to replace the results in the folder: they wait here until it does. */
export function waitingArguments(path: string): string {
  return join(path, "state", "args.json");
}

/** Puts the files in `staging`, a folder inside `path`, in the place of an earlier run's. @throws what the system answers. */
export function moveIntoPlace(path: string, staging: string): void {
  const name = `${completePrefix}${process.pid}-${randomUUID().slice(0, 8)}`;
  renameSync(staging, join(path, name));
  finish(path, name);
}

/** Goes on where runs that were killed stopped moving. Where the folder cannot be written it stays as it is. */
export function finishMoves(path: string): void {
  for (const name of readdirSync(path)) {
    const [, pid] = /^\.(?:complete|moving)-(\d+)-/.exec(name) ?? [];
    if (pid === undefined || isRunning(Number(pid))) continue;
    try {
      finish(path, name);
    } catch {
      return;
    }
  }
}

function finish(path: string, name: string): void {
  const moving = name.replace(completePrefix, movingPrefix);
  if (name !== moving) {
    removeStale(path, readdirSync(join(path, name)));
    renameSync(join(path, name), join(path, moving));
  }
  for (const file of readdirSync(join(path, moving))) replace(join(path, moving, file), join(path, file));
  rmSync(waitingArguments(path), { force: true });
  rmdirSync(join(path, moving));
}

/** Removes files of an earlier run that this one does not replace. */
function removeStale(path: string, names: readonly string[]): void {
  const stale = [...formats.map(({ fileName }) => fileName), ...recordNames].filter(
    (name) => !names.includes(name),
  );
  for (const name of stale) rmSync(join(path, name), { recursive: true, force: true });
}

function replace(from: string, to: string): void {
  if (statSync(to, { throwIfNoEntry: false })?.isDirectory()) rmSync(to, { recursive: true });
  renameSync(from, to);
}
