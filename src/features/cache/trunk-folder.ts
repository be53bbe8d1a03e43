import { randomBytes } from "node:crypto";
import { readdir, rename, rm, stat, unlink, utimes } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { MachineError } from "../../errors.ts";
import { makeFolder } from "../../formats/make-folder.ts";
import { isPackFile } from "./pack.ts";
import { isMarkAlive, writeMark } from "./process-mark.ts";

/** The use of a trunk's folder by this process: while it is held, nobody evicts the folder. */
export interface Lease {
  /** Marks the folder as still used: for the order of eviction, and to machines that share the folder. */
  renew(): Promise<void>;
  release(): Promise<void>;
}

const leasePrefix = "use-";
const trashPrefix = ".evicted-";

/**
 * Returns how the names of all notices of eviction of a folder begin. They stand beside the folder: one inside would go with it,
 * and a second evictor would then take away the folder that a user made anew.
 */
function noticePrefix(folder: string): string {
  return `.evicting-${basename(folder)}-`;
}

/**
 * Makes the folder if need be and takes it into use. A user puts up a lease and then looks for evictors; an evictor puts up a notice
 * and then looks for leases: whichever comes second sees the other, and needs no lock that a killed process could keep.
 *
 * @throws the system's error (EACCES, ENOSPC, EROFS).
 */
export async function leaseFolder(folder: string): Promise<Lease> {
  const name = `${leasePrefix}${process.pid}-${randomBytes(4).toString("hex")}`;
  const path = join(folder, name);
  for (let attempt = 0; attempt < 200; attempt++) {
    makeFolder(folder);
    try {
      await writeMark(path);
      if (!(await isBeingEvicted(folder))) {
        // A notice that went while it was read may have gone with the folder, and the lease with it.
        const names = await readdir(folder);
        if (names.includes(name)) {
          await removeDeadMarks(folder, names, leasePrefix);
          return lease(path, folder);
        }
      }
      await unlink(path);
    } catch (error) {
      // Evicted between two of these steps: it is made anew.
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
    await wait(20);
  }
  throw new MachineError(
    `${folder}: expected an eviction to end within seconds, got none. Remove the folder.`,
  );
}

function lease(path: string, folder: string): Lease {
  const renew = async () => {
    const now = new Date();
    await Promise.allSettled([utimes(path, now, now), utimes(folder, now, now)]);
  };
  return {
    renew,
    async release() {
      await unlink(path).catch(() => {});
      await renew();
    },
  };
}

export interface TrunkUse {
  readonly folder: string;
  readonly bytes: number;
  readonly usedAtMs: number;
}

/** Returns every trunk's folder in the cache with the size of its packs, the least recently used first. */
export async function listTrunks(directory: string): Promise<readonly TrunkUse[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  const folders = entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith("."));
  const uses = await Promise.all(folders.map((entry) => trunkUse(join(directory, entry.name))));
  return uses.sort((a, b) => a.usedAtMs - b.usedAtMs);
}

/** Removes a trunk's folder whole. Returns false if a living process uses it. */
export async function evictTrunk(directory: string, folder: string): Promise<boolean> {
  const notice = join(directory, `${noticePrefix(folder)}${process.pid}-${randomBytes(4).toString("hex")}`);
  const trash = join(directory, `${trashPrefix}${randomBytes(8).toString("hex")}`);
  try {
    await writeMark(notice);
    const names = await readdir(folder);
    if (await hasLiveMark(folder, names, leasePrefix)) return false;
    await rename(folder, trash);
  } catch {
    // Another evictor was faster, or the folder is not ours to remove.
    return false;
  } finally {
    await unlink(notice).catch(() => {});
  }
  await rm(trash, { recursive: true, force: true });
  return true;
}

/** Removes folders that killed evictors had already put aside. */
export async function emptyTrash(directory: string): Promise<void> {
  const names = await readdir(directory).catch(() => []);
  const trash = names.filter((name) => name.startsWith(trashPrefix));
  await Promise.all(
    trash.map((name) => rm(join(directory, name), { recursive: true, force: true }).catch(() => {})),
  );
}

/** Returns whether a living process evicts a folder, and removes the notices of those that were killed. */
async function isBeingEvicted(folder: string): Promise<boolean> {
  const directory = dirname(folder);
  const names = await readdir(directory);
  if (await hasLiveMark(directory, names, noticePrefix(folder))) return true;
  await removeDeadMarks(directory, names, noticePrefix(folder));
  return false;
}

/** Removes the marks of processes that were killed. */
async function removeDeadMarks(folder: string, names: readonly string[], prefix: string): Promise<void> {
  const marks = names.filter((name) => name.startsWith(prefix) && !name.endsWith(".tmp"));
  for (const path of marks.map((name) => join(folder, name))) {
    if (!(await isMarkAlive(path))) await unlink(path).catch(() => {});
  }
}

async function hasLiveMark(folder: string, names: readonly string[], prefix: string): Promise<boolean> {
  const marks = names.filter((name) => name.startsWith(prefix) && !name.endsWith(".tmp"));
  const alive = await Promise.all(marks.map((name) => isMarkAlive(join(folder, name))));
  return alive.includes(true);
}

async function trunkUse(folder: string): Promise<TrunkUse> {
  const names = await readdir(folder).catch(() => []);
  const sizes = await Promise.all(
    names.filter(isPackFile).map((name) =>
      stat(join(folder, name)).then(
        (status) => status.size,
        () => 0,
      ),
    ),
  );
  const usedAtMs = await stat(folder).then(
    (status) => status.mtimeMs,
    () => 0,
  );
  return { folder, bytes: sizes.reduce((sum, size) => sum + size, 0), usedAtMs };
}
