import { randomBytes } from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { systemError } from "../hdf5/system-error.ts";

/** Hears of each file or folder that is begun, before it is made, and when it is complete or gone. */
export type UnfinishedListener = (path: string, state: "begun" | "ended") => void;

let listener: UnfinishedListener = () => {};

/** Tells `heard` of unfinished files and folders from now on, so that a process that is killed can remove them. */
export function onUnfinished(heard: UnfinishedListener): void {
  listener = heard;
}

/** Marks `path` as begun and returns the call that says that it is complete or gone. If the process exits before, it is removed. */
export function beginUnfinished(path: string): () => void {
  const remove = (): void => rmSync(path, { recursive: true, force: true });
  listener(path, "begun");
  process.once("exit", remove);
  return () => {
    process.off("exit", remove);
    listener(path, "ended");
  };
}

/**
 * Writes a file at `path` completely or not at all: `write` fills a new file in the same folder, which replaces the old
 * one only once it is on the disk. On failure the old file is unchanged.
 * @param write Receives a descriptor that can be read and written.
 * @throws {KerasFileError | MachineError} if the system refuses.
 */
export async function replaceFile(path: string, write: (descriptor: number) => Promise<void>): Promise<void> {
  let target: string;
  let temporary: string;
  let descriptor: number;
  let end = (): void => {};
  try {
    target = resolved(path);
    temporary = join(
      dirname(target),
      `${temporaryPrefix(target)}${process.pid}-${randomBytes(6).toString("hex")}.tmp`,
    );
    removeAbandoned(target);
    end = beginUnfinished(temporary);
    descriptor = openSync(temporary, "wx+");
  } catch (error) {
    end();
    throw systemError(path, error);
  }
  let open = true;
  try {
    await write(descriptor);
    fsyncSync(descriptor);
    closeSync(descriptor);
    open = false;
    renameSync(temporary, target);
  } catch (error) {
    if (open) closeSync(descriptor);
    rmSync(temporary, { force: true });
    throw systemError(path, error);
  } finally {
    end();
  }
}

/** Returns true if a process with that id runs on this machine. */
export function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function temporaryPrefix(target: string): string {
  return `.${basename(target)}.`;
}

/** Removes temporary files of the same target that killed processes left behind. */
function removeAbandoned(target: string): void {
  const [folder, prefix] = [dirname(target), temporaryPrefix(target)];
  for (const name of readdirSync(folder)) {
    const [, pid] = /^(\d+)-[0-9a-f]{12}\.tmp$/.exec(name.slice(prefix.length)) ?? [];
    if (name.startsWith(prefix) && pid !== undefined && !isRunning(Number(pid))) {
      rmSync(join(folder, name), { force: true });
    }
  }
}

/** Resolves `path`, so that a symbolic link stays in place when its target is replaced. @throws if it is a folder. */
function resolved(path: string): string {
  let target: string;
  try {
    target = realpathSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return path;
    throw error;
  }
  if (statSync(target).isDirectory()) throw Object.assign(new Error(path), { code: "EISDIR" });
  return target;
}

/**
 * Writes a folder at `path` completely or not at all: `write` fills a new folder beside it, which replaces the old one
 * only once it is complete. On failure the old folder is unchanged.
 * @throws {KerasFileError | MachineError} if the system refuses.
 */
export async function replaceFolder(path: string, write: (folder: string) => Promise<void>): Promise<void> {
  const target = existsSync(path) ? realpathSync(path) : path;
  const beside = (ending: string): string =>
    join(dirname(target), `.${basename(target)}.${randomBytes(6).toString("hex")}.${ending}`);
  const [temporary, old] = [beside("tmp"), beside("old")];
  const end = beginUnfinished(temporary);
  try {
    mkdirSync(temporary);
    await write(temporary);
    const replaces = existsSync(target);
    if (replaces) renameSync(target, old);
    renameSync(temporary, target);
    if (replaces) rmSync(old, { recursive: true, force: true });
  } catch (error) {
    if (existsSync(old) && !existsSync(target)) renameSync(old, target);
    rmSync(temporary, { recursive: true, force: true });
    throw systemError(path, error);
  } finally {
    end();
  }
}
