/** @file The report of a run, from what the run leaves. */
import { thumbnail } from "../data/decode.ts";
import { formatBytes, formatSeconds } from "../freeze/plan-text.ts";
import { formatPolicy } from "../freeze/policy.ts";
import { optionName, optionSetTo, shellWord } from "../options.ts";
import type {
  ClassRow,
  CostRow,
  OutputReport,
  RunReport,
  SampleNote,
  SplitReport,
} from "../report/run-report.ts";
import { flatFigures } from "../task/figures.ts";
import type { RunRecord } from "./folder.ts";
import type { FinetuneOptions } from "./options.ts";
import type { PreparedRun } from "./prepare.ts";

/**
 * Returns what a page says of a run. Thumbnails of the mistakes are read from their files.
 * @param validation the validation samples, judged one by one; null where there are none.
 * @param options what the caller asked for.
 */
export async function runReport(
  run: PreparedRun,
  record: Omit<RunRecord, "report">,
  validation: SplitReport | null,
  options: FinetuneOptions,
): Promise<RunReport> {
  const { settings, dataset, plan, warnings } = run;
  const title =
    typeof settings.model === "string" ? `${settings.model} on ${dataText(settings.data)}` : "A run";
  return {
    version: 1,
    title,
    command: callText(options),
    finished: new Date().toISOString(),
    facts: [
      ["engine", record.engine],
      ["trainable parameters", plan.parameters.trainable.toLocaleString("en-US")],
      ["frozen weights", String(record.proof.weights.length)],
    ],
    settings: record.args,
    history: record.history,
    bestEpoch: record.bestEpoch,
    phases: record.phases.map(({ from, to, proof }, index) => ({
      name: run.phases[index]?.policy ?? `phase ${index + 1}`,
      from,
      to,
      frozenWeights: proof.weights.length,
      unchanged: proof.unchanged,
    })),
    splits: await Promise.all(
      [...(validation ? [validation] : []), ...testSplit(run, record)].map((split) =>
        dataset.kind === "images" ? withThumbnails(split) : split,
      ),
    ),
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

/** Returns the figures, confusion and classes of the test samples, where there are any. */
function testSplit({ task }: PreparedRun, { test }: Pick<RunRecord, "test">): readonly SplitReport[] {
  if (!test) return [];
  const isSingle = task.outputs.length === 1;
  const own = <T>(given: PerOutput<T> | undefined, name: string): T | undefined =>
    isSingle ? (given as T | undefined) : (given as Readonly<Record<string, T>> | undefined)?.[name];
  const outputs = task.outputs.map(({ name, kind, perPosition }): OutputReport => {
    const confusion = own<readonly (readonly number[])[]>(test.confusion, name);
    const perClass = own<readonly ClassRow[]>(test.perClass, name);
    return {
      name,
      kind,
      perPosition,
      labels: own<readonly string[]>(test.labels, name) ?? [],
      samples: test.samples,
      ...(confusion && { confusion }),
      ...(perClass && { perClass }),
    };
  });
  const figures = flatFigures({ loss: test.loss, ...test.metrics });
  return [{ split: "test", samples: test.samples, figures, outputs }];
}

type PerOutput<T> = T | Readonly<Record<string, T>>;

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

/** Options that are no part of what a run is: functions, and what `freeze` is written as instead. */
const notRepeated: ReadonlySet<string> = new Set([
  "freeze",
  "callbacks",
  "onProgress",
  "signal",
  "overwrite",
]);

/** Returns the call that repeats a run, as the caller wrote it: with flags on the command line, with options in code. */
function callText(options: FinetuneOptions): string {
  const isCommand = optionName("epochs").startsWith("--");
  const given = Object.entries(options).flatMap(([name, value]) => {
    if (notRepeated.has(name) || value === undefined) return [];
    const isObject = typeof value === "object" && value !== null;
    if (isObject && (name === "model" || name === "data")) return [optionSetTo(name, "…")];
    const text = isObject ? JSON.stringify(value) : value;
    return [optionSetTo(name, isCommand && typeof text === "string" ? shellWord(text) : text)];
  });
  const { freeze = [] } = options;
  const frozen = [freeze].flat().map(formatPolicy);
  if (isCommand) return ["finetune", ...given, ...frozen].join(" ");
  const policies = frozen.length > 0 ? [`freeze: [${frozen.join(", ")}]`] : [];
  return `finetune({ ${[...given, ...policies].join(", ")} })`;
}

/** Adds the images of the mistakes, which are named by their paths. */
async function withThumbnails(split: SplitReport): Promise<SplitReport> {
  const shown = (notes: readonly SampleNote[] | undefined): Promise<SampleNote[]> =>
    Promise.all(
      (notes ?? []).map(async (note) => {
        const image = await thumbnail(note.name);
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
