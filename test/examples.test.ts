import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { predictFiles, readCheckpoint } from "../src/index.ts";
import { chromium, openPage } from "./browser.ts";
import { scratch } from "./hdf5/temporary.ts";
import { isWhole } from "./sample.ts";

const folder = join(import.meta.dirname, "..", "examples");

/** Runs a program of examples/ with the arguments given and returns the lines that it has written so far. */
async function run(name: string, ...args: string[]): Promise<readonly string[]> {
  const lines: string[] = [];
  const log = vi.spyOn(console, "log").mockImplementation((text) => lines.push(...String(text).split("\n")));
  const before = process.argv;
  process.argv = [process.execPath, join(folder, name), ...args];
  onTestFinished(() => {
    process.argv = before;
    log.mockRestore();
  });
  await import(join(folder, name));
  return lines;
}

/** The number behind a word in one of the lines. */
function figure(lines: readonly string[], pattern: RegExp): number {
  const found = lines.map((line) => pattern.exec(line)?.[1]).find(Boolean);
  expect(found, lines.join("\n")).toBeDefined();
  return Number(found);
}

describe("examples", () => {
  test("examples/README.md has a line for each program, and each program says how it is run", () => {
    const readme = readFileSync(join(folder, "README.md"), "utf8");
    const programs = readdirSync(folder, { recursive: true, encoding: "utf8" })
      .map((name) => name.replaceAll("\\", "/"))
      .filter((name) => name.endsWith(".ts"));
    expect(programs.length).toBeGreaterThanOrEqual(5);
    for (const name of programs) {
      expect(readme).toContain(`| [\`${name}\`](${name}) |`);
      expect(readFileSync(join(folder, name), "utf8")).toContain(`//     node examples/${name}`);
    }
  });

  test("own-loop.ts ends when its loss is low, and writes a model that is read again", async () => {
    const out = join(scratch(), "own-loop.keras");
    const lines = await run("own-loop.ts", "fixtures/cli/small_resnet.keras", out);
    expect(figure(lines, /^loss (\S+) after \d+ steps$/)).toBeLessThan(0.05);
    const head = [...(await readCheckpoint(out)).weights.values()].at(-1);
    expect(head?.at(-1)?.shape).toEqual([2]);
  });

  test("texts.ts tells a fine review from a dull one", async () => {
    const lines = await run("texts.ts");
    expect(lines).toContainEqual(expect.stringMatching(/^"what a delight": fine /));
    expect(lines).toContainEqual(expect.stringMatching(/^"so dull": dull /));
  });

  test("custom-layer.ts trains a transformer's block behind a frozen embedding, and writes its class", async () => {
    const out = join(scratch(), "transformer.keras");
    const lines = await run("custom-layer.ts", out);
    expect(lines).toContain("trained from block on");
    expect(figure(lines, /^accuracy (\S+) on 60 sentences/)).toBeGreaterThan(0.7);
    expect(readFileSync(out).toString("latin1")).toContain('"class_name": "TransformerBlock"');
  });

  test.runIf(isWhole)("two-inputs.ts learns which of two images is the brighter", async () => {
    const lines = await run("two-inputs.ts");
    expect(figure(lines, /^accuracy (\S+) on 64 pairs/)).toBeGreaterThan(0.85);
  });

  test.runIf(isWhole)("photos.ts names photos that it did not train on", async () => {
    const lines = await run("photos.ts");
    expect(figure(lines, /^epoch \d is the best: accuracy (\S+) on 30 photos$/)).toBeGreaterThan(0.85);
    expect(lines).toContainEqual(expect.stringMatching(/brick-30\.jpg: brick \(\d+\.\d %\)$/));
  });
});

test("augmentation.ts computes views, and finds the images themselves in the cache", async () => {
  vi.stubEnv("KERAS_FINETUNE_HOME", scratch());
  onTestFinished(() => void vi.unstubAllEnvs());
  const lines = await run("augmentation.ts", "fixtures/cli/small_resnet.keras", "fixtures/demo/photos");
  expect(figure(lines, /^plain: .*; \d+ features computed, (\d+) from the cache$/)).toBe(0);
  expect(figure(lines, /^light, 4 views: .*, (\d+) from the cache$/)).toBeGreaterThan(0);
  expect(figure(lines, /^light, 4 views, mixup: .*; (\d+) features computed/)).toBe(0);
});

test("callbacks.ts ends at its target, and writes a line for each epoch", async () => {
  vi.stubEnv("KERAS_FINETUNE_HOME", scratch());
  onTestFinished(() => void vi.unstubAllEnvs());
  const out = join(scratch(), "run");
  const lines = await run("callbacks.ts", "fixtures/cli/small_resnet.keras", "fixtures/demo/photos", out);
  const epochs = figure(lines, /^(\d+) epochs/);
  expect(epochs).toBeLessThan(20);
  const records = readFileSync(`${out}.jsonl`, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(records.map(({ epoch }) => epoch)).toEqual(Array.from({ length: epochs }, (_, index) => index + 1));
  expect(records.map(({ val_accuracy }) => val_accuracy >= 0.6).indexOf(true)).toBe(epochs - 1);
});

test("phases.ts frees stage by stage, is stopped and resumed, and trains on with the file's optimizer", async () => {
  vi.stubEnv("KERAS_FINETUNE_HOME", scratch());
  onTestFinished(() => void vi.unstubAllEnvs());
  const out = join(scratch(), "run");
  const lines = await run("phases.ts", "fixtures/cli/small_resnet.keras", "fixtures/demo/photos", out);
  expect(lines.filter((line) => line.startsWith("phase "))).toHaveLength(3);
  expect(lines).toContain("stopped after epoch 3");
  expect(lines).toContain("resumed: 6 epochs in 3 phases");
  expect(lines).toContainEqual(expect.stringMatching(/^optimizer Adam of the file/));
});

test("sweep.ts suggests a rate, then computes the features of two cuts once and ranks four runs", async () => {
  vi.stubEnv("KERAS_FINETUNE_HOME", scratch());
  onTestFinished(() => void vi.unstubAllEnvs());
  const out = join(scratch(), "out");
  const lines = await run("sweep.ts", "fixtures/cli/small_resnet.keras", "fixtures/demo/photos", out);
  expect(figure(lines, /^suggested rate (\S+), from \d+ steps/)).toBeLessThan(10);
  expect(lines.filter((line) => line.startsWith("run "))).toHaveLength(4);
  expect(figure(lines, /^(\d+) features computed; the best is /)).toBe(75);
});

test("server.ts answers requests at the same time with what predictFiles says, and a file that is no image with 400", async () => {
  const model = "fixtures/cli/small_resnet.keras";
  const photos = ["brick/brick-30.jpg", "grass/grass-31.jpg"].map(
    (name) => `fixtures/demo/photos/val/${name}`,
  );
  const [address = ""] = await run("server.ts", model);
  const ask = (body: Uint8Array<ArrayBuffer>): Promise<Response> =>
    fetch(`${address}/predict`, { method: "POST", body, headers: { "content-type": "image/jpeg" } });
  const answers = await Promise.all(photos.map(async (path) => (await ask(readFileSync(path))).json()));
  const expected = await predictFiles(await readCheckpoint(model), photos, { top: 3 });
  for (const [index, answer] of answers.entries()) {
    const own = (answer as { predictions: { label: string; probability: number }[] }).predictions;
    const found = expected[index];
    const predictions = found && "predictions" in found ? found.predictions : [];
    expect(own.map(({ label }) => label)).toEqual(predictions.map(({ label }) => label));
    own.forEach(({ probability }, rank) => {
      expect(probability).toBeCloseTo(predictions[rank]?.probability ?? Number.NaN, 5);
    });
  }
  const refused = await ask(new Uint8Array(20));
  expect([refused.status, JSON.stringify(await refused.json())]).toEqual([
    400,
    expect.stringContaining("not an image"),
  ]);
});

describe("examples/browser", () => {
  const model = "fixtures/cli/small_resnet.keras";
  const photo = "fixtures/demo/photos/val/brick/brick-30.jpg";

  test.runIf(chromium)("serve.ts shows in Chromium what predictFiles gives", async () => {
    const lines = await run("browser/serve.ts", model, photo);
    const address = await vi.waitFor(() => expect(lines).toHaveLength(1)).then(() => String(lines[0]));
    const page = await openPage(String(chromium), address);
    try {
      const text = await vi.waitFor(
        async () => {
          const shown = String(await page.evaluate('document.getElementById("answer")?.textContent'));
          expect(shown, page.errors.join("\n")).toMatch(/^\[/);
          return shown;
        },
        { timeout: 60_000, interval: 100 },
      );
      const shown = JSON.parse(text) as { label: string; probability: number }[];
      const [found] = await predictFiles(await readCheckpoint(model), [photo]);
      const predictions = found && "predictions" in found ? found.predictions : [];
      expect(shown.map(({ label }) => label)).toEqual(predictions.map(({ label }) => label));
      for (const [index, { probability }] of shown.entries()) {
        expect(probability).toBeCloseTo(predictions[index]?.probability ?? Number.NaN, 5);
      }
      expect(page.errors).toEqual([]);
    } finally {
      await page.close();
    }
  });

  test.runIf(!chromium)("serve.ts serves the page, the model and TensorFlow.js", async () => {
    const lines = await run("browser/serve.ts", model, photo);
    const address = await vi.waitFor(() => expect(lines).toHaveLength(1)).then(() => String(lines[0]));
    for (const path of ["", "image", "tf-core.js", "tf-layers.js", "tf-backend-cpu.js", "model/model.json"]) {
      const response = await fetch(`${address}${path}`);
      expect([path, response.status, (await response.arrayBuffer()).byteLength > 100]).toEqual([
        path,
        200,
        true,
      ]);
    }
  });
});
