import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, realpathSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { systemError } from "../hdf5/system-error.ts";

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
