import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { imageFolder } from "../../src/data/class-folders.ts";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import { finetune } from "../../src/finetune.ts";
import { freezeUntil } from "../../src/freeze/policy.ts";
import { evaluate } from "../../src/inference/evaluate.ts";
import type { RunReport } from "../../src/report/run-report.ts";

const folder = mkdtempSync(join(tmpdir(), "run-report-"));
beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("a run with a folder", () => {
  test("leaves a report whose figures are those that evaluate gives for the written model", async () => {
    const out = join(folder, "run");
    const data = "fixtures/demo/photos";
    const { checkpoint, files } = await finetune({
      model: "fixtures/cli/small_resnet.keras",
      data,
      epochs: 2,
      freeze: freezeUntil("head"),
      cache: false,
      out,
    });
    const report = JSON.parse(readFileSync(join(out, "report.json"), "utf8")) as RunReport;
    const html = readFileSync(join(out, "report.html"), "utf8");
    expect(files).toEqual(expect.arrayContaining([join(out, "report.html"), join(out, "report.json")]));
    const [validation] = report.splits;
    const judged = await evaluate(checkpoint, await imageFolder(data), { split: "val" });
    expect(validation?.samples).toBe(judged.samples);
    expect(validation?.figures["loss"]).toBeCloseTo(judged.loss, 5);
    expect(validation?.outputs[0]?.confusion).toEqual(judged.confusion);
    expect(validation?.outputs[0]?.perClass).toEqual(judged.perClass);
    const mistakes = validation?.outputs[0]?.mistakes ?? [];
    expect(mistakes.length).toBeGreaterThan(0);
    expect(mistakes.filter(({ thumbnail }) => !thumbnail?.startsWith("data:image/jpeg;base64,"))).toEqual([]);
    const explained = mistakes.filter(({ heatmap }) => heatmap?.startsWith("data:image/jpeg;base64,"));
    expect(explained).toEqual(mistakes.slice(0, 8));
    expect(html).toContain("Where the model saw ");
    expect(report.history.length).toBe(2);
    expect(report.command).toBe(
      `finetune({ model: "fixtures/cli/small_resnet.keras", data: "${data}", epochs: 2, cache: false, out: "${out}", freeze: [freezeUntil("head")] })`,
    );
    expect(html).toContain("Confusion matrix");
  });

  test("leaves none where none is asked for", async () => {
    const out = join(folder, "without");
    await finetune({
      model: "fixtures/cli/small_resnet.keras",
      data: "fixtures/demo/photos",
      epochs: 1,
      cache: false,
      out,
      report: false,
    });
    expect(existsSync(join(out, "report.html"))).toBe(false);
  });
});
