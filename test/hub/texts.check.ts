import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { withTextInput } from "../../src/architectures/hub/text-preprocessor.ts";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { replaceHead } from "../../src/head/replace-head.ts";
import { predict } from "../../src/inference/predict.ts";
import { writeCheckpoint } from "../../src/inference/write-checkpoint.ts";
import { createTrainer } from "../../src/training/trainer.ts";
import { idsFor, textPath, textRecords, textTensor } from "../formats/hub/text-fixtures.ts";

/** What KerasHub makes of a file: see `check` of fixtures/make/hub_texts.py. */
interface Answer {
  readonly path: string;
  readonly class: string;
  /** Of the record's texts; of token ids where the file has no preprocessor. */
  readonly scores: readonly number[];
}

interface Written {
  readonly file: string;
  readonly class: string;
  readonly scores: ArrayLike<number>;
}

const folder = mkdtempSync(join(tmpdir(), "hub-texts-living-"));
const classifiers = textRecords.filter(([, { texts }]) => texts !== undefined);
const written = new Map<string, readonly Written[]>();
const answers = new Map<string, Answer>();

beforeAll(async () => {
  useEngine("wasm");
  await ensureEngine();
  for (const [name, record] of classifiers) {
    const headed = replaceHead(await readCheckpoint(textPath(`${name}.keras`)), { classes: 4 });
    const trainer = await createTrainer(headed, { freeze: [], optimizer: "SGD" });
    const classes = { dtype: "int32", shape: [2], data: Int32Array.of(0, 3) } as const;
    await trainer.trainOnBatch(idsFor(headed), classes);
    const { trainingConfig: _config, ...tuned } = await trainer.checkpoint();
    trainer.dispose();
    const [ofTexts] = await predict(withTextInput(tuned), textTensor(record.texts ?? []));
    const [ofIds] = await predict(tuned, idsFor(tuned));
    const forms = [
      { file: `${name}.keras`, class: record.class, scores: ofTexts, options: {} },
      { file: `${name}-preset`, class: record.class, scores: ofTexts, options: { format: "hub" } as const },
      // DeBERTa is not written flat.
      ...(name === "deberta"
        ? []
        : [{ file: `${name}-flat.keras`, class: "Functional", scores: ofIds, options: { flat: true } }]),
    ];
    for (const { file, options } of forms) await writeCheckpoint(join(folder, file), tuned, options);
    written.set(
      name,
      forms.map(({ file, class: className, scores }) => ({
        file,
        class: className,
        scores: scores?.data as Float32Array,
      })),
    );
  }
  const files = [...written.values()].flat().map(({ file }) => join(folder, file));
  const python = process.env["HUB_PYTHON"] ?? "python3";
  const text = execFileSync(python, ["fixtures/make/hub_texts.py", "check", ...files], {
    encoding: "utf8",
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: "1" },
    stdio: ["ignore", "pipe", "ignore"],
  });
  for (const line of text.split("\n").filter((each) => each.startsWith("{"))) {
    const answer = JSON.parse(line) as Answer;
    answers.set(answer.path, answer);
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

test.each(classifiers.map(([name]) => name))(
  "%s, tuned here, is opened by KerasHub, which says the same of every text",
  (name) => {
    for (const { file, class: className, scores } of written.get(name) ?? []) {
      const answer = answers.get(file);
      expect(answer?.class, file).toBe(className);
      expect(answer?.scores.length, file).toBe(scores.length);
      const largest = Math.max(...Array.from(scores, Math.abs));
      const apart = Array.from(scores, (value, at) => Math.abs(value - (answer?.scores[at] ?? Number.NaN)));
      expect(Math.max(...apart) / largest, file).toBeLessThan(1e-5);
    }
  },
);
