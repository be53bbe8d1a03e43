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

/**
 * Puts what `write` writes at `path`, whole or not at all: into a new file in the same folder, which takes the place of the
 * old one only when it is on the disk. On failure the old file is as it was. The descriptor can be read and written.
 * @throws {KerasFileError | MachineError} where the system refuses.
 */
export async function replaceFile(path: string, write: (descriptor: number) => Promise<void>): Promise<void> {
  let target: string;
  let temporary: string;
  let descriptor: number;
  try {
    target = resolved(path);
    temporary = join(
      dirname(target),
      `${temporaryPrefix(target)}${process.pid}-${randomBytes(6).toString("hex")}.tmp`,
    );
    removeAbandoned(target);
    descriptor = openSync(temporary, "wx+");
  } catch (error) {
    throw systemError(path, error);
  }
  let open = true;
  const remove = (): void => rmSync(temporary, { force: true });
  process.once("exit", remove);
  try {
    await write(descriptor);
    fsyncSync(descriptor);
    closeSync(descriptor);
    open = false;
    renameSync(temporary, target);
  } catch (error) {
    if (open) closeSync(descriptor);
    remove();
    throw systemError(path, error);
  } finally {
    process.off("exit", remove);
  }
}

/** Whether a process of this machine has the number. */
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

/** What killed processes wrote of the same file. */
function removeAbandoned(target: string): void {
  const [folder, prefix] = [dirname(target), temporaryPrefix(target)];
  for (const name of readdirSync(folder)) {
    const [, pid] = /^(\d+)-[0-9a-f]{12}\.tmp$/.exec(name.slice(prefix.length)) ?? [];
    if (name.startsWith(prefix) && pid !== undefined && !isRunning(Number(pid))) {
      rmSync(join(folder, name), { force: true });
    }
  }
}

/** Where `path` leads: a symbolic link keeps its place. @throws for a folder. */
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
 * Puts the folder that `write` fills at `path`: a new one beside it, which takes the place of the old one only when it is
 * whole. On failure the old one is as it was.
 * @throws {KerasFileError | MachineError} where the system refuses.
 */
export async function replaceFolder(path: string, write: (folder: string) => Promise<void>): Promise<void> {
  const target = existsSync(path) ? realpathSync(path) : path;
  const beside = (ending: string): string =>
    join(dirname(target), `.${basename(target)}.${randomBytes(6).toString("hex")}.${ending}`);
  const [temporary, old] = [beside("tmp"), beside("old")];
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
  }
}
