import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Checkpoint } from "../../src/checkpoint.ts";
import { KerasFileError, TopologyError } from "../../src/errors.ts";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";

const fixtures = join(import.meta.dirname, "..", "..", "fixtures");

/** Where `bytes` are put to be read. */
function writeDamaged(name: string, bytes: Uint8Array): string {
  const folder = mkdtempSync(join(tmpdir(), "damaged-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, name.split("/").at(-1)!);
  writeFileSync(path, bytes);
  return path;
}

/** The model, or what its file is refused with. */
async function read(path: string): Promise<Checkpoint | Error> {
  try {
    const checkpoint = await readCheckpoint(path);
    layerGraph(checkpoint);
    return checkpoint;
  } catch (error) {
    return error as Error;
  }
}

/** Evenly spread over a file of `length` bytes. */
function spread(count: number, length: number): number[] {
  return Array.from({ length: count }, (_, index) => Math.floor((index * length) / count));
}

describe.each(["cli/small_resnet.keras", "cli/small_resnet.h5", "models/k224-sequential.h5"])(
  "%s",
  (name) => {
    const whole = readFileSync(join(fixtures, name));

    test("is refused by path as truncated or empty if it is cut at any length", async () => {
      for (const length of [...spread(40, whole.length), 1, 4, 8, 9, 511, whole.length - 1]) {
        const path = writeDamaged(name, whole.subarray(0, length));
        const refusal = await read(path);
        expect(refusal, `${length} bytes`).toBeInstanceOf(KerasFileError);
        const { message } = refusal as Error;
        expect(message.startsWith(`${path}: `), message).toBe(true);
        if (length >= 9) expect(message).toMatch(/truncated/);
        else if (length === 0) expect(message).toMatch(/empty/);
      }
    });

    test("is read or refused, without an internal error, if bytes are changed anywhere", async () => {
      for (const at of [...spread(50, whole.length), ...spread(10, 3000)]) {
        const bytes = Buffer.from(whole);
        bytes[at]! ^= 0xff;
        bytes[at + 1]! ^= 0x55;
        const path = writeDamaged(name, bytes);
        const result = await read(path);
        if (!(result instanceof Error)) continue;
        const typed = result instanceof KerasFileError || result instanceof TopologyError;
        expect(typed, `byte ${at}: ${result.stack}`).toBe(true);
      }
    });
  },
);

test("a .keras file with a changed byte in its contents is never read as the model", async () => {
  const name = "cli/small_resnet.keras";
  const whole = readFileSync(join(fixtures, name));
  const intact = await readCheckpoint(join(fixtures, name));
  let refused = 0;
  for (const at of spread(150, whole.length)) {
    const bytes = Buffer.from(whole);
    bytes[at]! ^= 0x10;
    const result = await read(writeDamaged(name, bytes));
    if (result instanceof Error) refused++;
    else expect([result.modelConfig, result.weights]).toEqual([intact.modelConfig, intact.weights]);
  }
  expect(refused).toBeGreaterThan(140);
});

test.each([
  [
    "text.h5",
    "no model at all, just text in a file",
    /expected an .h5 or .keras file written by Keras, got one that starts with "no model"/,
  ],
  [
    "picture.keras",
    "\x89PNG\r\n\x1a\n and more",
    /expected an .h5 or .keras file written by Keras, got one that starts with /,
  ],
])("%s is refused as another kind of file, with its first characters", async (name, text, message) => {
  const path = writeDamaged(name, Buffer.from(text, "latin1"));
  const refusal = await read(path);
  expect(refusal).toBeInstanceOf(KerasFileError);
  expect((refusal as Error).message).toMatch(message);
  expect((refusal as Error).message.startsWith(`${path}: `)).toBe(true);
});
