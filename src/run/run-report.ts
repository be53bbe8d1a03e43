/** @file The report of a run, from what the run leaves. */
import { join } from "node:path";
import { thumbnail } from "../data/thumbnails.ts";
import { formatBytes, formatSeconds } from "../freeze/plan-text.ts";
import type { FreezePolicy } from "../freeze/policy.ts";
import { optionName, optionSetTo, policyName } from "../options.ts";
import type { CostRow, OutputReport, RunReport, SampleNote, SplitReport } from "../report/run-report.ts";
import type { RunRecord } from "./folder.ts";
import type { PreparedRun } from "./prepare.ts";
import type { RunSettings } from "./settings.ts";
import { defaultOf } from "./settings.ts";

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
    command: callText(run, record.args),
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

/** Settings that the preparation decides from others, and those that say where results go. */
const notRepeated: ReadonlySet<string> = new Set(["freeze", "overwrite", "cache"]);

/** Returns the call that repeats a run, as the caller wrote it: with flags on the command line, with options in code. */
function callText({ settings }: PreparedRun, args: RunRecord["args"]): string {
  const given = Object.entries(args).flatMap(([name, value]) => {
    if (notRepeated.has(name) || value === null || sameValue(value, defaultOf(name as keyof RunSettings)))
      return [];
    const isPlain = typeof value === "string" || typeof value === "number" || typeof value === "boolean";
    return [optionSetTo(name, isPlain ? value : JSON.stringify(value))];
  });
  const policies = settings.freeze === "auto" ? [] : [settings.freeze].flat();
  const frozen = policies.map((policy) => policyText(policy));
  return optionName("epochs").startsWith("--")
    ? ["finetune", ...given, ...frozen].join(" ")
    : `finetune({ ${[...given, ...(frozen.length > 0 ? [`freeze: [${frozen.join(", ")}]`] : [])].join(", ")} })`;
}

const policyNames: Readonly<Record<FreezePolicy["kind"], string>> = {
  until: "freezeUntil",
  through: "freezeThrough",
  freeze: "freeze",
  unfreeze: "unfreeze",
  depth: "freezeDepth",
  "all-but-head": "freezeAllButHead",
};

function policyText(policy: FreezePolicy): string {
  const name = policyNames[policy.kind];
  if ("patterns" in policy) return policyName(name, policy.patterns.join(","));
  return "n" in policy ? policyName(name, policy.n) : policyName(name);
}

function sameValue(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
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
