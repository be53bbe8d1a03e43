import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach } from "vitest";
import { windowFile } from "../../src/hdf5/file-system.ts";
import { createHdf5, type Hdf5Writer } from "../../src/hdf5/writer.ts";

const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** Creates a folder that is removed after the test. */
export function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), "keras-finetune-test-"));
  folders.push(folder);
  return folder;
}

/** Returns the path of a new HDF5 file whose contents `write` wrote. */
export async function writtenHdf5(write: (writer: Hdf5Writer) => void): Promise<string> {
  const path = join(scratch(), "written.h5");
  const descriptor = openSync(path, "w+");
  const writer = await createHdf5(windowFile(descriptor, 0, 0), path);
  write(writer);
  writer.close();
  closeSync(descriptor);
  return path;
}
