/** @file Charts of a page: what uPlot draws, as values, and the place for each. */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { escaped } from "./markup.ts";

/** A line, or points where `isPoints`. */
export interface Series {
  readonly label: string;
  /** One value for each of the chart's `x`, null where there is none. */
  readonly values: readonly (number | null)[];
  readonly isDashed?: boolean;
  readonly isPoints?: boolean;
  /** Index of its color, from 0. Defaults to a color of its own. */
  readonly color?: number;
}

export interface Chart {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  /** Rising. */
  readonly x: readonly number[];
  readonly series: readonly Series[];
  readonly xRange?: readonly [number, number];
  readonly yRange?: readonly [number, number];
  /** True if x is a number of something, as epochs: ticks are whole. */
  readonly isWholeX?: boolean;
  /** Positions of vertical lines, with what they mark. */
  readonly marks?: readonly { readonly x: number; readonly label: string }[];
}

/** Collects the charts of a page. */
export interface ChartList {
  /** Adds a chart and returns the HTML of its place. */
  add(chart: Chart): string;
  readonly charts: readonly Chart[];
}

export function chartList(): ChartList {
  const charts: Chart[] = [];
  return {
    charts,
    add: (chart) => {
      charts.push(chart);
      const lines = chart.series.map(({ label }) => label).join(", ");
      const what = `${chart.title}: ${chart.yLabel} by ${chart.xLabel}, ${lines}`;
      return `<figure class="chart"><figcaption>${escaped(chart.title)}</figcaption><div class="plot" role="img" aria-label="${escaped(what)}" data-chart="${charts.length - 1}"></div></figure>`;
    },
  };
}

/** Returns one chart of several curves that each have x values of their own: at each x only its own curve has a value. */
export function curvesChart(
  axes: Omit<Chart, "x" | "series">,
  curves: readonly { readonly label: string; readonly points: readonly (readonly [number, number])[] }[],
): Chart {
  const places = curves.flatMap(({ points }, curve) =>
    points.map((point, order) => ({ x: point[0], y: point[1], curve, order })),
  );
  places.sort((a, b) => a.x - b.x || a.curve - b.curve || a.order - b.order);
  return {
    ...axes,
    x: places.map(({ x }) => x),
    series: curves.map(({ label }, curve) => ({
      label,
      values: places.map((place) => (place.curve === curve ? place.y : null)),
    })),
  };
}

/** Returns the script and the style of uPlot, which a page carries inside. */
export function chartLibrary(): { readonly script: string; readonly style: string } {
  const require = createRequire(import.meta.url);
  const read = (name: string): string => readFileSync(require.resolve(`uplot/dist/${name}`), "utf8");
  return { script: read("uPlot.iife.min.js"), style: read("uPlot.min.css") };
}

/** Script that draws the charts in the page: colors follow the page's, widths follow the window. */
export const chartScript = `
(() => {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(name).trim();
  const lines = ["--line-1", "--line-2", "--line-3", "--line-4", "--line-5", "--line-6"];
  const plots = [];
  const marksOf = (chart) => ({
    hooks: {
      draw: [(plot) => {
        const { ctx, bbox } = plot;
        ctx.save();
        ctx.strokeStyle = color("--muted");
        ctx.fillStyle = color("--muted");
        ctx.font = "12px system-ui";
        for (const mark of chart.marks ?? []) {
          const x = Math.round(plot.valToPos(mark.x, "x", true));
          ctx.setLineDash([4, 4]);
          ctx.beginPath();
          ctx.moveTo(x, bbox.top);
          ctx.lineTo(x, bbox.top + bbox.height);
          ctx.stroke();
          ctx.fillText(mark.label, x + 4, bbox.top + 12);
        }
        ctx.restore();
      }],
    },
  });
  const axis = (label) => ({
    label, stroke: color("--text"), labelSize: 24, size: label ? 46 : 40,
    values: (_, ticks) => ticks.map((tick) => tick === null ? "" : String(Number(tick.toPrecision(6)))),
    grid: { stroke: color("--grid"), width: 1 }, ticks: { stroke: color("--grid"), width: 1 },
  });
  const draw = () => {
    for (const plot of plots.splice(0)) plot.destroy();
    for (const place of document.querySelectorAll("[data-chart]")) {
      const chart = charts[Number(place.dataset.chart)];
      const width = Math.max(240, place.clientWidth);
      const options = {
        width, height: Math.min(320, Math.max(220, Math.round(width * 0.6))),
        scales: {
          x: { time: false, ...(chart.xRange && { range: chart.xRange }) },
          y: chart.yRange ? { range: chart.yRange } : {},
        },
        axes: [
          { ...axis(chart.xLabel), ...(chart.isWholeX && { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] }) },
          { ...axis(chart.yLabel), size: 72 },
        ],
        legend: { live: false },
        cursor: { drag: { x: false, y: false } },
        series: [{ label: chart.xLabel }, ...chart.series.map((series, index) => {
          const stroke = color(lines[(series.color ?? index) % lines.length]);
          return {
            label: series.label, stroke, width: series.isPoints ? 0 : 2, spanGaps: true,
            ...(series.isDashed && { dash: [6, 4], points: { show: false } }),
            ...(series.isPoints && { paths: () => null, points: { show: true, size: 5, fill: stroke, stroke } }),
          };
        })],
        plugins: [marksOf(chart)],
      };
      plots.push(new uPlot(options, [chart.x, ...chart.series.map(({ values }) => values)], place));
    }
  };
  draw();
  let waiting;
  addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(draw, 150); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
`;
