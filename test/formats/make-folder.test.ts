import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { makeFolder } from "../../src/formats/make-folder.ts";

const folder = mkdtempSync(join(tmpdir(), "make-folder-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("a folder is made with those above it, and the topmost new one is returned", () => {
  expect(makeFolder(join(folder, "a", "b", "c"))).toBe(join(folder, "a"));
  expect(statSync(join(folder, "a", "b", "c")).isDirectory()).toBe(true);
  expect(makeFolder(join(folder, "a", "b", "d"))).toBe(join(folder, "a", "b", "d"));
});

test("a folder that is there stays", () => {
  mkdirSync(join(folder, "there"));
  expect(makeFolder(join(folder, "there"))).toBe(null);
});

test("a file in the place of a folder, or above it, is the system's error", () => {
  writeFileSync(join(folder, "file"), "");
  expect(() => makeFolder(join(folder, "file"))).toThrow(/EEXIST/);
  expect(() => makeFolder(join(folder, "file", "below"))).toThrow(/ENOTDIR/);
});

test.runIf(existsSync("/proc/self"))(
  "a file system that says of every new folder that there is none such ends in its error, not in a circle",
  () => {
    expect(() => makeFolder("/proc/none/below")).toThrow(/ENOENT/);
  },
);
