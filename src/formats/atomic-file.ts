import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, openSync, realpathSync, renameSync, rmSync, statSync } from "node:fs";
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
    temporary = join(dirname(target), `.${basename(target)}.${randomBytes(6).toString("hex")}.tmp`);
    descriptor = openSync(temporary, "wx+");
  } catch (error) {
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
