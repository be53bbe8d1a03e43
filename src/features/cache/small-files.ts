/** Small files beside the features of a trunk: what an extraction did, and with what. */
import { writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { replaceFile } from "../../formats/atomic-file.ts";
import type { ObjectStore } from "../../storage/object-store.ts";

export interface SmallFiles {
  /** Returns a file's text; null where there is none. */
  read(name: string): Promise<string | null>;
  /** Writes a file whole or not at all, in the place of an earlier one. @throws {MachineError | KerasFileError} if it cannot be written. */
  replace(name: string, text: string): Promise<void>;
}

/** Returns the files in a folder on a disk. */
export function folderFiles(folder: string): SmallFiles {
  return {
    read: (name) => readFile(join(folder, name), "utf8").catch(() => null),
    replace: (name, text) => replaceFile(join(folder, name), async (file) => writeFileSync(file, text)),
  };
}

/** Returns the objects whose keys begin with `prefix`, which ends in a slash. */
export function bucketFiles(store: ObjectStore, prefix: string): SmallFiles {
  return {
    read: async (name) => {
      const found = await store.get(`${prefix}${name}`);
      return found && Buffer.from(found.bytes).toString("utf8");
    },
    replace: (name, text) => store.put(`${prefix}${name}`, Buffer.from(text)),
  };
}
