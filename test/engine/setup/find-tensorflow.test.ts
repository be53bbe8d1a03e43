import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { strToU8, zipSync } from "fflate";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findTensorFlow } from "../../../src/engine/setup/find-tensorflow.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "wheel-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const contents = {
  "tensorflow/libtensorflow_cc.so.2": new Uint8Array(100_000).fill(1),
  "tensorflow/libtensorflow_framework.so.2": new Uint8Array(10),
  "tensorflow/include/tensorflow/c/c_api.h": strToU8("/* C */"),
  "tensorflow/python/keras.py": strToU8("pass"),
};

function wheelOf(bytes: Uint8Array): string {
  const path = join(folder, "tensorflow.whl");
  writeFileSync(path, bytes);
  return path;
}

test("a wheel is unpacked without what the engine does not need", async () => {
  const wheel = wheelOf(zipSync(contents));
  const found = await findTensorFlow({ wheel }, folder);
  expect(found).toEqual({ folder: join(folder, "tensorflow"), origin: wheel, temporary: true });
  for (const [name, bytes] of Object.entries(contents).slice(0, 3)) {
    expect(readFileSync(join(folder, name))).toEqual(Buffer.from(bytes));
  }
  expect(() => readFileSync(join(folder, "tensorflow/python/keras.py"))).toThrow("ENOENT");
});

test("a truncated wheel is refused by name", async () => {
  const wheel = wheelOf(zipSync(contents).subarray(0, 200));
  await expect(findTensorFlow({ wheel }, folder)).rejects.toThrow(
    expect.objectContaining({
      name: "MachineError",
      message: `${wheel}: zip archive: no directory at its end: it is truncated at 200 bytes. Copy or download it again. Give a whole tensorflow-cpu wheel.`,
    }),
  );
});

test("a wheel without the libraries is refused by name", async () => {
  const wheel = wheelOf(zipSync({ "tensorflow/python/keras.py": strToU8("pass") }));
  await expect(findTensorFlow({ wheel }, folder)).rejects.toThrow(
    `${wheel}: expected libtensorflow_cc.so.2 and libtensorflow_framework.so.2 in it, got none.`,
  );
});
