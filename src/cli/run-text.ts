import type { FinetuneResult } from "../index.ts";
import { bytesText, columns, secondsText } from "./figures.ts";

/** `0.6931`; `3.2e-5` where four places would say nothing. */
export function figure(value: number): string {
  return value !== 0 && Math.abs(value) < 5e-4 ? value.toExponential(1) : value.toFixed(4);
}

/** What the plan predicted beside what the run cost, as lines; what was not predicted is left out. */
export function costTable({ plan: { cost }, measured }: FinetuneResult): string[] {
  const rows: (readonly [string, number | undefined, number, (value: number) => string])[] = [
    ["extraction", cost?.extractionSeconds, measured.extractionSeconds, secondsText],
    ["epoch", cost?.epochSeconds, measured.epochSeconds, secondsText],
    ["features", cost?.cacheBytes, measured.cacheBytes, bytesText],
    ["memory", cost?.stepBytes, measured.peakBytes, bytesText],
  ];
  return columns([
    ["cost", "predicted", "measured"],
    ...rows.map(([name, predicted, value, text]) => [
      `  ${name}`,
      predicted === undefined ? "-" : text(predicted),
      name === "memory" ? `${text(value)} (the whole process)` : text(value),
    ]),
  ]);
}
