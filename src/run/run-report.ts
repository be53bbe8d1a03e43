/** @file The report of a run, from what the run leaves. */
import { join } from "node:path";
import { thumbnail } from "../data/thumbnails.ts";
import { formatBytes, formatSeconds } from "../freeze/plan-text.ts";
import type { CostRow, OutputReport, RunReport, SampleNote, SplitReport } from "../report/run-report.ts";
import type { RunRecord } from "./folder.ts";
import type { PreparedRun } from "./prepare.ts";

/**
 * Returns what a page says of a run. Thumbnails of the mistakes are read from the data folder.
 * @param splits what was judged sample by sample.
 */
export async function runReport(
  run: PreparedRun,
  record: Omit<RunRecord, "report">,
  splits: readonly SplitReport[],
): Promise<RunReport> {
  const { settings, dataset, plan, warnings } = run;
  const title =
    typeof settings.model === "string" ? `${settings.model} on ${dataText(settings.data)}` : "A run";
  const root = typeof settings.data === "string" && dataset.kind === "images" ? settings.data : null;
  return {
    version: 1,
    title,
    command: commandOf(record.args),
    finished: new Date().toISOString(),
    facts: [
      ["engine", record.engine],
      ["trainable parameters", plan.parameters.trainable.toLocaleString("en-US")],
      ["frozen weights", String(record.proof.weights.length)],
    ],
    settings: record.args,
    history: record.history,
    bestEpoch: record.bestEpoch,
    phases: [
      {
        name: "run",
        from: 1,
        to: record.history.length,
        frozenWeights: record.proof.weights.length,
        unchanged: record.proof.unchanged,
      },
    ],
    splits: root === null ? splits : await Promise.all(splits.map((split) => withThumbnails(split, root))),
    layers: plan.layers.map(({ path, className, stage, parameters, trainable, side }) => ({
      path,
      className,
      stage,
      parameters,
      trainable,
      side,
    })),
    cost: costRows(record),
    warnings,
    bad: record.bad,
  };
}

function dataText(data: unknown): string {
  return typeof data === "string" ? data : "a dataset";
}

/** Returns the rows of plan beside cost. */
function costRows({ plan: { cost }, measured }: Omit<RunRecord, "report">): readonly CostRow[] {
  if (!cost) return [];
  return [
    {
      what: "extraction",
      predicted: formatSeconds(cost.extractionSeconds),
      measured: formatSeconds(measured.extractionSeconds),
    },
    {
      what: "epoch",
      predicted: formatSeconds(cost.epochSeconds),
      measured: formatSeconds(measured.epochSeconds),
    },
    {
      what: "features",
      predicted: formatBytes(cost.cacheBytes),
      measured: formatBytes(measured.cacheBytes),
    },
    ...(cost.processBytes === undefined
      ? []
      : [
          {
            what: "memory",
            predicted: formatBytes(cost.processBytes),
            measured: formatBytes(measured.peakBytes),
          },
        ]),
  ];
}

/** Returns the command that repeats a run, with the settings that it records in a file. */
function commandOf({ model, data }: RunRecord["args"]): string {
  const quoted = (text: unknown): string =>
    typeof text !== "string" ? "…" : /^[\w./:-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
  return `finetune --model ${quoted(model)} --data ${quoted(data)} --config args.json`;
}

async function withThumbnails(split: SplitReport, root: string): Promise<SplitReport> {
  const shown = (notes: readonly SampleNote[] | undefined): Promise<SampleNote[]> =>
    Promise.all(
      (notes ?? []).map(async (note) => {
        const image = await thumbnail(join(root, note.name));
        return image === undefined ? note : { ...note, thumbnail: image };
      }),
    );
  const outputs = split.outputs.map(
    async (output): Promise<OutputReport> => ({
      ...output,
      ...(output.mistakes && { mistakes: await shown(output.mistakes) }),
      ...(output.suspects && { suspects: await shown(output.suspects) }),
    }),
  );
  return { ...split, outputs: await Promise.all(outputs) };
}
