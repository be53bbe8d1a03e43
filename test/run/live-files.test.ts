import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import type { FinetuneOptions } from "../../src/index.ts";
import { arrayDataset, finetune, freezeAllButHead } from "../../src/index.ts";
import { float32Tensor } from "../../src/tensor.ts";

const folder = mkdtempSync(join(tmpdir(), "live-files-"));
beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});
afterAll(() => rmSync(folder, { recursive: true }));

function arrays(count: number): ReturnType<typeof arrayDataset> {
  const labels = Float32Array.from({ length: count }, (_, row) => row % 3);
  const pixels = Float32Array.from({ length: count * 32 * 32 * 3 }, (_, index) => (index % 97) / 97);
  return arrayDataset(float32Tensor(pixels, [count, 32, 32, 3]), float32Tensor(labels, [count]));
}
const held = arrays(6);
const options = (name: string): FinetuneOptions & { readonly out: string } => ({
  model: "fixtures/cli/small_resnet.keras",
  data: { ...arrays(9), validation: { inputs: held.inputs, targets: held.targets } },
  ...{ freeze: freezeAllButHead(), epochs: 2, batchSize: 3, cache: false, report: false },
  out: join(folder, name),
});
interface Line {
  readonly kind: string;
  readonly time: string;
  readonly [name: string]: unknown;
}
const linesIn = (out: string): Line[] =>
  readFileSync(join(out, "events.jsonl"), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);
const kinds = (lines: readonly Line[]): string[] => lines.map(({ kind }) => kind);
const eventFiles = (out: string): string[] =>
  readdirSync(out, { recursive: true, encoding: "utf8" }).filter((name) => name.includes("tfevents"));

describe("events.jsonl", () => {
  test("holds a line for each event while the run goes, from its start to its end", async () => {
    const { out } = options("whole");
    let seen: string[] = [];
    const watch = {
      name: "watch",
      epochEnd: () => {
        seen = kinds(linesIn(out));
      },
    };
    const { history, files, bestEpoch } = await finetune({ ...options("whole"), callbacks: [watch] });
    expect(seen.filter((kind) => kind === "epoch")).toHaveLength(2);
    expect(seen).not.toContain("end");
    const lines = linesIn(out);
    expect(lines[0]).toMatchObject({ kind: "start", epochs: 2, resumed: false, data: null });
    expect(kinds(lines)).toEqual(
      expect.arrayContaining(["start", "note", "plan", "extract", "step", "epoch", "end"]),
    );
    const epochs = lines.filter(({ kind }) => kind === "epoch").map(({ epoch }) => epoch);
    expect(epochs).toEqual(history);
    expect(lines.at(-1)).toMatchObject({ kind: "end", status: "complete", bestEpoch, files });
    for (const { time } of lines) expect(Number.isNaN(Date.parse(time))).toBe(false);
    expect(eventFiles(out)).toEqual([]);
  });

  test("goes on in a resumed run, and says how an aborted one ended", async () => {
    const controller = new AbortController();
    const stop = { name: "stop", epochEnd: () => controller.abort(new Error("enough")) };
    const given = options("aborted");
    await expect(finetune({ ...given, callbacks: [stop], signal: controller.signal })).rejects.toThrow(
      "enough",
    );
    const before = linesIn(given.out);
    expect(before.at(-1)).toMatchObject({ kind: "end", status: "stopped", message: "enough", bestEpoch: 1 });
    await finetune({ resume: given.out, data: given.data, callbacks: [{ name: "stop" }] });
    const after = linesIn(given.out);
    expect(after.slice(0, before.length)).toEqual(before);
    expect(after[before.length]).toMatchObject({ kind: "start", resumed: true });
    expect(after.at(-1)).toMatchObject({ kind: "end", status: "complete" });
  });

  test("is gone where a run fails before its first epoch", async () => {
    const fail = {
      name: "fail",
      begin: () => {
        throw new Error("no");
      },
    };
    const given = { ...options("failed"), tensorboard: true };
    await expect(finetune({ ...given, callbacks: [fail] })).rejects.toThrow("no");
    expect(() => readdirSync(given.out)).toThrow("ENOENT");
  });
});

test("the events of an earlier run stay with its results until another has its own", async () => {
  const given = { ...options("replaced"), tensorboard: true };
  await finetune(given);
  const earlier = [readFileSync(join(given.out, "events.jsonl"), "utf8"), eventFiles(given.out).sort()];
  let during: readonly string[] = [];
  const fail = {
    name: "fail",
    begin: () => {
      during = kinds(linesIn(given.out));
      throw new Error("no");
    },
  };
  await expect(finetune({ ...given, overwrite: true, saveEvery: 0, callbacks: [fail] })).rejects.toThrow(
    "no",
  );
  const left = [readFileSync(join(given.out, "events.jsonl"), "utf8"), eventFiles(given.out).sort()];
  expect(left).toEqual(earlier);
  expect(during[0]).toBe("start");
  expect(during).not.toContain("end");
  await finetune({ ...given, overwrite: true, seed: 9 });
  expect(readFileSync(join(given.out, "events.jsonl"), "utf8")).not.toEqual(earlier[0]);
  expect(readdirSync(given.out).filter((name) => name.startsWith("."))).toEqual([]);
});

describe("TensorBoard", () => {
  test("gets a file for the run and one for each of training and validation, and another run's are gone", async () => {
    const given = { ...options("board"), tensorboard: true };
    await finetune(given);
    const writers = (): (string | undefined)[] => eventFiles(given.out).map((name) => name.split("/").at(-2));
    expect(writers().sort()).toEqual(["train", "validation", undefined]);
    await finetune({ ...given, overwrite: true });
    expect(writers()).toHaveLength(3);
    await finetune({ ...given, overwrite: true, tensorboard: false });
    expect(writers()).toEqual([]);
  });

  test("needs a run folder", async () => {
    const { out: _out, ...given } = options("none");
    await expect(finetune({ ...given, tensorboard: true })).rejects.toThrow(
      "out: expected a folder for TensorBoard's events, got undefined.",
    );
  });
});
