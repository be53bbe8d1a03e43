import { expect, test } from "vitest";
import { chartList } from "../../src/report/html/charts.ts";
import { historyCharts } from "../../src/report/html/history-section.ts";
import { moment, table } from "../../src/report/html/markup.ts";

test("a moment is told as a person reads it, in UTC", () => {
  expect(moment("2026-11-30T07:05:15.247Z")).toBe("30 November 2026, 07:05 UTC");
  expect(moment("yesterday")).toBe("yesterday");
});

test("the caption of a table stands above what scrolls", () => {
  expect(table("Two & more.", ["a"], [["1"]])).toMatch(
    /^<p class="caption">Two &amp; more\.<\/p><div class="scroll"[^>]*aria-label="Two &amp; more\."><table/,
  );
});

test("each of several runs has one color, solid for validation and dashed for training", () => {
  const charts = chartList();
  const history = [{ epoch: 1, loss: 2, val_loss: 3, lr: 0.1 }];
  historyCharts(
    [
      { name: "one", history },
      { name: "other", history },
    ],
    charts,
  );
  const [loss, rate] = charts.charts.map(({ series }) =>
    series.map(({ label, color, isDashed }) => [label, color, isDashed]),
  );
  expect(loss).toEqual([
    ["one training", 0, true],
    ["one validation", 0, false],
    ["other training", 1, true],
    ["other validation", 1, false],
  ]);
  expect(rate).toEqual([
    ["one", 0, false],
    ["other", 1, false],
  ]);
});
