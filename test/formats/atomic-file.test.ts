import { spawnSync } from "node:child_process";
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { MachineError } from "../../src/errors.ts";
import { replaceFile } from "../../src/formats/atomic-file.ts";
import { withDiskFault } from "../disk-faults.ts";

function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), "atomic-file-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A folder with a file that holds "old". */
function withOldFile(): { folder: string; path: string } {
  const folder = scratch();
  const path = join(folder, "model.h5");
  writeFileSync(path, "old");
  return { folder, path };
}

/** In three writes. */
async function putNew(path: string): Promise<void> {
  await replaceFile(path, async (descriptor) => {
    for (const [at, text] of ["n", "e", "w"].entries()) writeSync(descriptor, Buffer.from(text), 0, 1, at);
  });
}

describe("a file that is replaced", () => {
  test("is complete, either the old one or the new one, wherever the process is killed, and the next write removes the remains", async () => {
    const found: string[] = [];
    for (let at = 1, struck = true; struck; at++) {
      const { folder, path } = withOldFile();
      const put = () => putNew(path).catch(() => {});
      struck = (await withDiskFault({ kind: "killed", at }, put)) >= at;
      found.push(readFileSync(path, "utf8"));
      await putNew(path);
      expect(readdirSync(folder)).toEqual(["model.h5"]);
    }
    expect(found).toEqual([...Array.from({ length: found.length - 1 }, () => "old"), "new"]);
    expect(found.length).toBeGreaterThan(5);
  });

  test("is still the old one after the disk filled up, and the error names the cause and the remedy", async () => {
    const { folder, path } = withOldFile();
    for (const at of [1, 2, 3, 4, 5]) {
      let refusal: unknown;
      await withDiskFault({ kind: "full", at }, () =>
        putNew(path).catch((error: unknown) => {
          refusal = error;
        }),
      );
      expect(refusal).toBeInstanceOf(MachineError);
      expect((refusal as Error).message).toBe(
        `${path}: no space left on the device. Free some space, or write to another place.`,
      );
      expect([readdirSync(folder), readFileSync(path, "utf8")]).toEqual([["model.h5"], "old"]);
    }
  });

  test("is named in the error, with the remedy, if it grows too large or the disk reports an error", async () => {
    const { folder, path } = withOldFile();
    for (const [code, reason] of [
      [
        "EFBIG",
        "the file is larger than the file system or a limit (ulimit -f) allows. Write to another place.",
      ],
      ["EIO", "the disk reports an error. Check the disk, or write to another one."],
    ] as const) {
      const refused = replaceFile(path, async () => {
        throw Object.assign(new Error(`${code}: refused, write`), { code, syscall: "write" });
      });
      await expect(refused).rejects.toThrow(MachineError);
      await expect(refused).rejects.toThrow(`${path}: ${reason}`);
      expect([readdirSync(folder), readFileSync(path, "utf8")]).toEqual([["model.h5"], "old"]);
    }
  });

  test("leaves no temporary file if the process exits during the write, as on Ctrl-C", () => {
    const { folder, path } = withOldFile();
    const built = pathToFileURL(join(import.meta.dirname, "..", "..", "dist", "formats", "atomic-file.js"));
    const script = `
      import { replaceFile } from ${JSON.stringify(built.href)};
      await replaceFile(process.argv[1], async () => process.exit(130));`;
    const { status } = spawnSync(process.execPath, ["--input-type=module", "-e", script, path]);
    expect(status).toBe(130);
    expect([readdirSync(folder), readFileSync(path, "utf8")]).toEqual([["model.h5"], "old"]);
  });

  test("is replaced at the target of a link, and temporary files of running processes are kept", async () => {
    const { folder, path } = withOldFile();
    symlinkSync("model.h5", join(folder, "link.h5"));
    const living = `.model.h5.${process.pid}-0123456789ab.tmp`;
    writeFileSync(join(folder, living), "half");
    await putNew(join(folder, "link.h5"));
    expect(readdirSync(folder).sort()).toEqual([living, "link.h5", "model.h5"]);
    expect(readFileSync(path, "utf8")).toBe("new");
  });
});
