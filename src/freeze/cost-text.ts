import { optionSetTo } from "../options.ts";
import { factor, formatBytes, formatDuration, formatSeconds, percent } from "./number-text.ts";
import type { FinetunePlan, PlannedCost, PlannedRun } from "./plan.ts";
import type { PlanContext } from "./plan-context.ts";

/** Returns the lines of a plan that say what the run costs: the cache, an epoch, memory, and the time and disk space of the whole run. */
export function costLines(plan: FinetunePlan, cost: PlannedCost, context: PlanContext): string[] {
  const speedUp = 1 / cost.epochRatio;
  const isThere = (cost.cachedSamples ?? 0) > 0 && cost.cachedSamples === cost.keptSamples;
  const once =
    cost.cacheBytes > 0 && !isThere
      ? `; extraction once ${formatSeconds(cost.extractionSeconds)}${cost.cachedSamples ? ` for what the cache lacks` : ""}`
      : "";
  const batch =
    context.batchSize === undefined
      ? "a training step"
      : `a step of ${context.batchSize} ${context.unit ?? "images"}`;
  return [
    cacheLine(plan, cost, context),
    `cost      per epoch ${percent(cost.epochRatio)} of full training (predicted ${factor(speedUp)}), ${formatDuration(cost.epochSeconds)}${once}`,
    `memory    ${batch} holds ${formatBytes(cost.stepBytes)}${insteadOf(cost.wholeStepBytes)}${ofProcess(cost)}`,
    ...(cost.run ? [timeLine(cost.run, context), ...diskLines(cost, cost.run, context)] : []),
  ];
}

/** Returns the line that says how long the run takes, or what is left of it, and with what. */
function timeLine(run: PlannedRun, { isResumed = false }: PlanContext): string {
  const what = isResumed
    ? `the ${run.epochs === 1 ? "epoch" : `${run.epochs} epochs`} left`
    : "the whole run";
  const parts: readonly (readonly [seconds: number, part: string])[] = [
    [run.preparationSeconds, "reading and planning"],
    [run.extractionSeconds, "extraction"],
    [run.trainingSeconds, "training"],
    [run.savingSeconds, "judging and writing"],
  ];
  const told = parts
    .filter(([seconds]) => seconds >= 0.05)
    .map(([seconds, part]) => `${part} ${formatSeconds(seconds)}`);
  return `time      ${what} ${formatSeconds(run.seconds)}${told.length > 1 ? `: ${told.join(", ")}` : ""}`;
}

/** Returns the line that says what the run writes; none where it writes nothing. */
function diskLines(cost: PlannedCost, run: PlannedRun, context: PlanContext): string[] {
  const { cacheFolder, rowFolder, outFolder } = context;
  const { keptSamples = 0, cachedSamples = 0, rowBytes = 0 } = cost;
  const missing = keptSamples > 0 ? (cost.cacheBytes * (keptSamples - cachedSamples)) / keptSamples : 0;
  const parts = [
    ...(cacheFolder === undefined || missing <= 0
      ? []
      : [`${formatBytes(missing)} of features in ${cacheFolder}`]),
    ...(rowBytes > 0
      ? [
          `${formatBytes(rowBytes)} of rows${rowFolder === undefined ? "" : ` in ${rowFolder}`} until the run ends`,
        ]
      : []),
    ...(outFolder === undefined || run.outBytes === 0
      ? []
      : [`${formatBytes(run.outBytes)} of model and state in ${outFolder}`]),
  ];
  return [`disk      ${parts.length === 0 ? "nothing is written" : parts.join(", ")}`];
}

function ofProcess({ processBytes, gpuBytes }: PlannedCost): string {
  if (processBytes === undefined) return "";
  const onGpu = gpuBytes === undefined ? "" : `, ${formatBytes(gpuBytes)} of it on the GPU`;
  return `; the process ${formatBytes(processBytes)}${onGpu}`;
}

function insteadOf(bytes: number | undefined): string {
  return bytes === undefined ? "" : ` instead of ${formatBytes(bytes)}`;
}

function cacheLine(plan: FinetunePlan, cost: PlannedCost, context: PlanContext): string {
  if (cost.cacheBytes === 0) return "cache     none";
  const { unit = "images", cacheFolder, freeBytes } = context;
  const { cachedSamples = 0 } = cost;
  const samples = context.samples ?? cost.keptSamples;
  const amount =
    samples === undefined
      ? formatBytes(cost.cacheBytes)
      : `${samples.toLocaleString("en-US")} ${unit} x ${formatBytes(cost.cacheBytes / samples)} = ${formatBytes(cost.cacheBytes)}`;
  const place = cacheFolder === undefined ? "" : ` in ${cacheFolder}`;
  const free = freeBytes === undefined ? "" : `   (free: ${formatBytes(freeBytes)})`;
  const head = cost.headCut;
  const later =
    head && head.tensor !== plan.frontier.map(({ tensor }) => tensor).join(" + ")
      ? `     [cut at ${head.tensor}: ${formatBytes(head.cacheBytes)}]`
      : "";
  const slow = cost.cachePays
    ? ""
    : `   reading it takes longer than computing it again: cut later, or use ${optionSetTo("cache", false)}`;
  if (context.place === "memory" || context.place === "run")
    return `cache     none: features ${amount} are held ${context.place === "run" ? "for this run" : "in memory"}${later}`;
  const there =
    cachedSamples === 0
      ? ""
      : cachedSamples === samples
        ? "   all of them are there already"
        : `   ${cachedSamples.toLocaleString("en-US")} of them are there already`;
  return `cache     ${amount}${place}${free}${there}${later}${slow}`;
}
