import { formatBytes, formatDuration } from "../freeze/number-text.ts";
import type { FinetunePlan } from "../freeze/plan.ts";
import type { CostRow } from "../report/run-report.ts";
import type { FinetuneResult } from "./options.ts";

/** Returns what the plan predicted beside what was measured; without a prediction that is empty. */
export function costRows({ cost }: FinetunePlan, measured: FinetuneResult["measured"]): readonly CostRow[] {
  const run = cost?.run;
  const rows: readonly (readonly [string, number | undefined, number, (value: number) => string])[] = [
    [
      "extraction",
      run?.extractionSeconds ?? cost?.extractionSeconds,
      measured.extractionSeconds,
      formatDuration,
    ],
    ["epoch", run?.epochSeconds ?? cost?.epochSeconds, measured.epochSeconds, formatDuration],
    ["whole run", run?.seconds, measured.runSeconds, formatDuration],
    ["features", run?.featureBytes ?? cost?.cacheBytes, measured.cacheBytes, formatBytes],
    ["memory", cost?.processBytes, measured.peakBytes, formatBytes],
    ...(measured.gpuBytes === undefined
      ? []
      : [["memory of the GPU", cost?.gpuBytes, measured.gpuBytes, formatBytes] as const]),
  ];
  return rows.map(([what, predicted, value, text]) => ({
    what,
    predicted: predicted === undefined ? "" : text(predicted),
    measured: text(value),
  }));
}
