import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hubArguments } from "../../src/architectures/hub/hub-models.ts";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import { readCheckpoint, writeCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { replaceHead } from "../../src/head/replace-head.ts";
import { predict } from "../../src/inference/predict.ts";
import { createTrainer } from "../../src/training/trainer.ts";
import { hubPath, hubRecords, imagesOf, targetsOf } from "../formats/hub/hub-fixtures.ts";

/** What KerasHub, or Keras without it, makes of a file: see `check` of fixtures/make/hub.py. */
interface Answer {
  readonly path: string;
  /** Why the file could not be opened. */
  readonly error?: string;
  readonly class: string;
  readonly sum: number;
  readonly output: readonly number[];
}

interface Written {
  readonly file: string;
  readonly class: string;
  readonly output: readonly number[];
}

/** `FAMILY=vit` checks the records whose name begins with that alone. */
const records = hubRecords().filter(([name]) => name.startsWith(process.env["FAMILY"] ?? ""));

const folder = mkdtempSync(join(tmpdir(), "hub-living-"));
const written = new Map<string, readonly Written[]>();
const answers = new Map<string, Answer>();

/** Runs `check` of fixtures/make/hub.py, or `flat`, which imports Keras alone. */
function ask(what: "check" | "flat", files: readonly string[]): void {
  const python = process.env["HUB_PYTHON"] ?? "python3";
  const text = execFileSync(python, ["fixtures/make/hub.py", what, ...files], {
    encoding: "utf8",
    env: { ...process.env, CUDA_VISIBLE_DEVICES: "", PYTHONDONTWRITEBYTECODE: "1" },
    stdio: ["ignore", "pipe", "ignore"],
  });
  for (const line of text.split("\n").filter((each) => each.startsWith("{"))) {
    const answer = JSON.parse(line) as Answer;
    answers.set(answer.path, answer);
  }
}

/** Trains everything for a step and writes the model in each form that Python opens. */
async function writeForms(
  name: string,
  record: ReturnType<typeof hubRecords>[number][1],
): Promise<Written[]> {
  const original = await readCheckpoint(hubPath(`${name}.keras`));
  const isTask = hubArguments(original.modelConfig)?.["num_classes"] !== undefined;
  const headed = isTask ? replaceHead(original, { classes: 3, activation: "linear" }) : original;
  const shape = isTask ? [...record.output.shape.slice(0, -1), 3] : record.output.shape;
  const trainer = await createTrainer(headed, {
    freeze: [],
    bnMode: "inference",
    optimizer: { class_name: "SGD", config: { learning_rate: 0.01 } },
    loss: "MeanSquaredError",
  });
  await trainer.trainOnBatch(imagesOf(record.shape), targetsOf(shape));
  const { trainingConfig: _config, ...tuned } = await trainer.checkpoint();
  trainer.dispose();
  const [output] = await predict(tuned, imagesOf(record.shape));
  const first = [...(output!.data as Float32Array).subarray(0, 5)];
  const isHub = hubArguments(original.modelConfig) !== undefined;
  const forms = [
    { file: `${name}.keras`, class: record.class, options: {} },
    { file: `${name}-flat.keras`, class: "Functional", options: { flat: true } },
    ...(isHub ? [{ file: `${name}-preset`, class: record.class, options: { format: "hub" } as const }] : []),
  ];
  for (const { file, options } of forms) await writeCheckpoint(join(folder, file), tuned, options);
  return forms.map(({ file, class: className }) => ({ file, class: className, output: first }));
}

beforeAll(async () => {
  useEngine("wasm");
  await ensureEngine();
  for (const [name, record] of records) written.set(name, await writeForms(name, record));
  const files = [...written.values()].flat().map(({ file }) => join(folder, file));
  ask(
    "check",
    files.filter((file) => !file.endsWith("-flat.keras")),
  );
  ask(
    "flat",
    files.filter((file) => file.endsWith("-flat.keras")),
  );
});
afterAll(() => rmSync(folder, { recursive: true }));

describe.each(records.map(([name]) => name))("%s, tuned here", (name) => {
  test("is opened by KerasHub, and flat by Keras without it, with equal scores", () => {
    for (const { file, class: className, output } of written.get(name) ?? []) {
      const answer = answers.get(file);
      expect(answer?.error, file).toBeUndefined();
      expect(answer?.class, file).toBe(file.endsWith("-flat.keras") ? answer?.class : className);
      const scale = Math.max(...output.map(Math.abs), 1e-3);
      for (const [index, value] of output.entries()) {
        expect(Math.abs(value - (answer?.output[index] ?? Number.NaN)) / scale, file).toBeLessThan(1e-4);
      }
    }
  });
});
