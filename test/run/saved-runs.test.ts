import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import type { RunReport } from "../../src/report/run-report.ts";
import { runsBelow, writeReport } from "../../src/run/saved-runs.ts";
import { classesOutput, sampleReport } from "../report/sample-report.ts";

const folder = mkdtempSync(join(tmpdir(), "saved-runs-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Makes a run folder that holds a report alone. */
function runFolder(name: string, change: Partial<RunReport> = {}): string {
  const path = join(folder, name);
  cpSync("fixtures/report", path, { recursive: true });
  const report = { ...sampleReport([classesOutput()]), ...change };
  writeFileSync(join(path, "report.json"), JSON.stringify(report));
  return path;
}

const first = runFolder("a", { settings: { epochs: 6, batchSize: 32 } });
const second = runFolder("b", { settings: { epochs: 6, batchSize: 8 }, bestEpoch: 2 });

test("the page of one run is made again in its folder", async () => {
  expect(await writeReport([first], undefined)).toBe(join(first, "report.html"));
  expect(readFileSync(join(first, "report.html"), "utf8")).toContain("Confusion matrix");
});

test("a page of several runs has what differs between them, and no more of their settings", async () => {
  const html = readFileSync(await writeReport([first, second], join(folder, "both.html")), "utf8");
  expect(html).toContain("batchSize");
  expect(html).not.toContain(">epochs<");
});

test("runs are listed with the figures of their best epoch and the first layer that trains", () => {
  const [a, b] = runsBelow(folder);
  expect([a?.path, b?.path]).toEqual([first, second]);
  expect(a?.figures["val_loss"]).toBeCloseTo(1.1 / 6 + 0.05, 10);
  expect(b?.figures["val_loss"]).toBeCloseTo(1.1 / 2 + 0.05, 10);
  expect(a?.cut).toBe("block5_layer51");
});

test("a folder without a report is refused by name", async () => {
  await expect(writeReport([folder], undefined)).rejects.toThrow(
    `${folder}: expected a run folder with report.json, got none.`,
  );
});
