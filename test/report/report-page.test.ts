import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { reportPage } from "../../src/report/html/report-page.ts";
import type { OutputReport } from "../../src/report/run-report.ts";
import { classesReport } from "../../src/report/scored-samples.ts";
import { chromium, openPage } from "../browser.ts";
import { oneIn } from "../sample.ts";
import { classesOutput, sampleReport } from "./sample-report.ts";

const folder = mkdtempSync(join(tmpdir(), "report-"));
afterAll(() => rmSync(folder, { recursive: true }));
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const values: OutputReport = {
  name: "price",
  kind: "values",
  perPosition: false,
  labels: [],
  samples: 40,
  scatters: [
    {
      label: "",
      points: Array.from({ length: 40 }, (_, index) => [index, index + Math.sin(index)] as const),
    },
  ],
};

const pages = [
  ["classes", [classesOutput()], ["Confusion matrix", "Classes", "Calibration", "Worst mistakes"]],
  ["values", [values], ["Predicted against true"]],
  [
    "several outputs",
    [classesOutput(), values],
    ["predictions: Confusion matrix", "price: Predicted against true"],
  ],
] as const;

test("names and paths of people are text in the page, never markup", () => {
  const html = reportPage(sampleReport([classesOutput()]));
  expect(html).not.toContain("<script>alert");
  expect(html).toContain("&lt;script&gt;alert(1)&lt;/script&gt;");
});

test("the page of 10,000 images in 100 classes is under 3 MB", () => {
  const [count, classes] = [10_000, 100];
  const labels = Array.from({ length: classes }, (_, index) => `class ${index}`);
  const truth = Int32Array.from({ length: count }, (_, row) => row % classes);
  const scores = Float32Array.from({ length: count * classes }, (_, at) => ((at * 7919) % 1000) / 1000);
  const names = Array.from({ length: count }, (_, row) => `val/class ${row % classes}/photograph-${row}.jpg`);
  const judged = classesReport({ labels, scores, truth, names });
  // A photograph of 160 pixels takes about so many bytes.
  const thumbnail = `data:image/jpeg;base64,${"A".repeat(9000)}`;
  const pictured = (notes: typeof judged.mistakes = []) => notes.map((note) => ({ ...note, thumbnail }));
  const output: OutputReport = {
    ...{ ...classesOutput(), labels, samples: count, ...judged },
    confusion: labels.map(() => labels.map(() => 1)),
    perClass: labels.map((label) => ({ label, precision: 0.5, recall: 0.5, f1: 0.5, support: 100 })),
    mistakes: pictured(judged.mistakes),
    suspects: pictured(judged.suspects),
    verdicts: { names, given: Array.from(truth), predicted: Array.from(truth) },
  };
  expect(pictured(judged.mistakes).length).toBe(24);
  expect(reportPage(sampleReport([output])).length).toBeLessThan(3e6);
});

test("the page needs no network", () => {
  const html = reportPage(sampleReport([classesOutput()]));
  expect(html.match(/(?:src|href)="(?!#|data:)/g)).toBeNull();
});

describe.skipIf(chromium === undefined && process.env["CI"] === undefined)("in Chromium", () => {
  test.each(oneIn(3, pages))(
    "a report of %s draws every chart without an error and is accessible",
    async (_, outputs, parts) => {
      const path = join(folder, `${outputs.length}-${outputs[0].kind}.html`);
      writeFileSync(path, reportPage(sampleReport(outputs)));
      const page = await openPage(chromium ?? "chromium", pathToFileURL(path).href);
      try {
        for (const width of [390, 1280]) {
          await page.resize(width, 900);
          await page.evaluate("new Promise((done) => setTimeout(done, 400))");
          const shown = JSON.parse(
            String(
              await page.evaluate(`JSON.stringify({
              headings: [...document.querySelectorAll("h2, h3")].map((one) => one.textContent),
              undrawn: [...document.querySelectorAll("[data-chart]")].filter((one) => !one.querySelector("canvas")).length,
              tooWide: document.documentElement.scrollWidth > innerWidth,
            })`),
            ),
          );
          expect(shown.headings).toEqual(
            expect.arrayContaining([...parts, "Curves", "What trained", "Proof"]),
          );
          expect([shown.undrawn, shown.tooWide]).toEqual([0, false]);
          const folderForLooks = process.env["REPORT_SCREENSHOTS"];
          if (folderForLooks) {
            const name = `${outputs.length}-${outputs[0].kind}-${width}.png`;
            writeFileSync(join(folderForLooks, name), Buffer.from(await page.screenshot(), "base64"));
          }
        }
        await page.evaluate(axe);
        const found = await page.evaluate(
          `axe.run().then(({ violations }) => JSON.stringify(violations.filter(({ impact }) => impact === "serious" || impact === "critical").map(({ id, nodes }) => id + ": " + nodes[0].html.slice(0, 200))))`,
        );
        expect(JSON.parse(String(found))).toEqual([]);
        expect(page.errors).toEqual([]);
      } finally {
        await page.close();
      }
    },
  );
});
