import { optionSetTo } from "../options.ts";
import { specOf } from "../topology/layer-specs.ts";
import type { FinetunePlan, PlannedCost, PlannedLayer, PlannedRun } from "./plan.ts";

/** Facts beside the plan that its text mentions if they are given. */
export interface PlanContext {
  /** File name (`resnet50.h5`). Without it the text has no line about the model. */
  readonly model?: string;
  /** Version and format of the file: `Keras 2.3 h5`. */
  readonly origin?: string;
  /** Preprocessing with its reason: `caffe (BGR, mean subtracted) [detected]`. */
  readonly preprocessing?: string;
  /** Summary of the policies: `until conv4`. */
  readonly policy?: string;
  /** Number of classes of a head that the run makes, and the number of parameters of the head that it replaces. */
  readonly newHead?: { readonly classes: number; readonly parametersBefore: number };
  /** Number of samples whose features are cached. */
  readonly samples?: number;
  /** Plural noun for the samples. Defaults to `images`. */
  readonly unit?: string;
  /** Place of the features: the cache, which is the default, else a file of this run alone, or memory. */
  readonly place?: "cache" | "run" | "memory";
  readonly cacheFolder?: string;
  /** Free space of the disk that holds the cache. */
  readonly freeBytes?: number;
  /** Folder of features that are too many for memory, until the run ends. */
  readonly rowFolder?: string;
  /** Run folder. */
  readonly outFolder?: string;
  readonly cacheDtype?: "float32" | "float16";
  readonly batchSize?: number;
  /** True for a run that goes on: its time is that of what is left. Defaults to false. */
  readonly isResumed?: boolean;
}

/** Formats a plan as lines of plain text: the model, what is frozen by stage, the frontier, and the cost. */
export function planLines(plan: FinetunePlan, context: PlanContext = {}): string[] {
  const { total, trainable } = plan.parameters;
  const first = plan.layers.findIndex((layer) => layer.path === plan.firstTrainable);
  const policy = context.policy === undefined ? "" : `${context.policy}  ->  `;
  const percentage = ((100 * trainable) / total).toFixed(2);
  return [
    ...modelLine(plan, context),
    `freeze    ${policy}first trainable layer: ${plan.firstTrainable} (#${first})`,
    ...table(stageRows(plan, context)).map((row) => `          ${row}`),
    `trainable params: ${grouped(trainable)} || all params: ${grouped(total)} || trainable%: ${percentage}`,
    ...frontierLines(plan, context),
    ...(plan.cost ? costLines(plan, plan.cost, context) : []),
    ...augmentLines(plan, context),
    ...silencedLines(plan),
  ];
}

function modelLine(plan: FinetunePlan, { model, origin, preprocessing }: PlanContext): string[] {
  if (model === undefined) return [];
  const facts = [origin, `${plan.layers.length} layers`, `${formatCount(plan.parameters.total)} params`];
  const known = facts.filter((fact) => fact !== undefined).join(", ");
  return [
    `model     ${model}  (${known})${preprocessing === undefined ? "" : `  preprocessing: ${preprocessing}`}`,
  ];
}

function grouped(count: number): string {
  return count.toLocaleString("en-US");
}

/** Returns a header and a row for each stage. */
function stageRows(plan: FinetunePlan, context: PlanContext): string[][] {
  const stages = [...new Set(plan.layers.flatMap((layer) => layer.stage ?? []))];
  const { newHead } = context;
  return [
    ["stage", "layers", "params", "trainable", "BN"],
    ...stages.map((stage) => {
      const layers = plan.layers.filter((layer) => layer.stage === stage);
      const parameters = layers.reduce((sum, layer) => sum + layer.parameters, 0);
      const head = stage === "head" ? newHead : undefined;
      const before = head ? `${formatCount(head.parametersBefore)}->` : "";
      const fresh = head ? ` (new, ${head.classes} classes)` : "";
      return [
        stage,
        String(layers.length),
        `${before}${formatCount(parameters)}`,
        `${trainableText(layers)}${fresh}`,
        statisticsText(layers),
      ];
    }),
  ];
}

/** Returns `yes` if every layer with parameters trains, `-` if none does, else how many do. */
function trainableText(layers: readonly PlannedLayer[]): string {
  const weighted = layers.filter((layer) => layer.parameters > 0);
  const training = weighted.filter((layer) => layer.trainable).length;
  if (training === 0) return "-";
  return training === weighted.length ? "yes" : `${training} of ${weighted.length} layers`;
}

function statisticsText(layers: readonly PlannedLayer[]): string {
  const kinds = layers.flatMap((layer) => layer.bn ?? []);
  const different = [...new Set(kinds)];
  if (different.length < 2) return different[0] ?? "-";
  return different.map((kind) => `${kind} (${kinds.filter((other) => other === kind).length})`).join(", ");
}

/** Aligns the columns of a table, the second one, which holds numbers, to the right. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, text] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, text.length);
  }
  const cell = (text: string, column: number): string =>
    column === 1 ? text.padStart(widths[column] ?? 0) : text.padEnd(widths[column] ?? 0);
  return rows.map((row) => row.map(cell).join("  ").trimEnd());
}

/** Returns one line for each tensor of the frontier. */
function frontierLines(plan: FinetunePlan, context: PlanContext): string[] {
  const half = context.cacheDtype === "float16";
  const count = plan.frontier.length === 1 ? "1 tensor" : `${plan.frontier.length} tensors`;
  return plan.frontier.map(({ tensor, shape, bytes }) => {
    const size = shape.slice(1).join("x");
    if (isInput(plan, tensor))
      return `frontier  ${tensor}  ${size}  (${count})  the model's input: nothing can be computed ahead`;
    return `frontier  ${tensor}  ${size}  (${count})  ${half ? "f16" : "f32"} ${formatBytes(bytes / (half ? 2 : 1))}/${(context.unit ?? "images").slice(0, -1)}`;
  });
}

function isInput(plan: FinetunePlan, tensor: string): boolean {
  return plan.layers.some((layer) => layer.path === tensor && layer.className === "InputLayer");
}

function costLines(plan: FinetunePlan, cost: PlannedCost, context: PlanContext): string[] {
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
    `memory    ${batch} holds ${formatBytes(cost.stepBytes)}${insteadOf(cost.wholeStepBytes)}${ofProcess(cost.processBytes)}`,
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

function ofProcess(bytes: number | undefined): string {
  return bytes === undefined ? "" : `; the process ${formatBytes(bytes)}`;
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

/** Returns lines that say how training samples are augmented, and at which price if views are fresh in every epoch. */
function augmentLines(
  { augmentation, cost, frontier }: FinetunePlan,
  { unit = "images" }: PlanContext,
): string[] {
  if (!augmentation) return [];
  const { views, transformations, layers, mixup, cutmix } = augmentation;
  const one = unit.slice(0, -1);
  const means = [
    ...(transformations === null ? [] : [transformations]),
    ...(layers.length > 0 ? [`the model's ${shortList(layers)}`] : []),
  ].join(" and ");
  const seconds = cost?.freshViewSeconds;
  const price =
    seconds === undefined
      ? ""
      : `: making them and running the frozen part takes ${formatSeconds(seconds)} of each epoch`;
  const lines = [
    ...(means === "" ? [] : [means]),
    ...(views === 0 ? [`fresh views in every epoch, none of them cached${price}`] : []),
    ...(views !== null && views > 0
      ? [
          `${views} views of each training ${one}, view 0 the ${one} itself; epoch e trains on view e mod ${views}`,
        ]
      : []),
    ...(cutmix === null
      ? []
      : [`cutmix=${cutmix}: a box of another ${one} is pasted in, and the targets averaged by area`]),
    ...(mixup === null
      ? []
      : [
          `mixup=${mixup}: two samples' ${frontier.map(({ tensor }) => tensor).join(" + ")} and targets are averaged`,
        ]),
  ];
  return lines.map((line, index) => `${index === 0 ? "augment " : "        "}  ${line}`);
}

/** Returns a line that names the random layers in the static part, which are inactive. */
function silencedLines(plan: FinetunePlan): string[] {
  const drawing = new Set(plan.augmentation?.layers);
  const silent = plan.layers.filter(
    ({ path, side, className }) =>
      side === "static" && specOf(className)?.random === true && !drawing.has(path),
  );
  if (silent.length === 0) return [];
  const names = silent.map((layer) => layer.path);
  return [`inactive  ${shortList(names)}: in the frozen part, which runs as in inference`];
}

/** Joins names, four at most: `a, b, c and 4 more`. */
export function shortList(names: readonly string[]): string {
  return names.length > 4 ? `${names.slice(0, 3).join(", ")} and ${names.length - 3} more` : names.join(", ");
}

/** Formats a count with three or four significant digits: `9.7k`, `25.6M`. */
export function formatCount(count: number): string {
  if (count < 1000) return String(count);
  if (count < 999_950) return `${(count / 1000).toFixed(count < 99_950 ? 1 : 0)}k`;
  return count < 999_950_000 ? `${(count / 1e6).toFixed(1)}M` : `${(count / 1e9).toFixed(1)}B`;
}

/** Formats a size in decimal units: `8.2 kB`, `0.8 MB`, `2.9 GB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${Math.round(bytes)} B`;
  if (bytes < 100_000) return `${(bytes / 1000).toFixed(1)} kB`;
  if (bytes < 99_500_000) return `${(bytes / 1e6).toFixed(1)} MB`;
  return bytes < 999_500_000 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

/** Formats a duration as `formatSeconds` does, a moment in milliseconds: `20ms`. */
export function formatDuration(seconds: number): string {
  return seconds > 0.0005 && seconds < 0.0995 ? `${Math.round(1000 * seconds)}ms` : formatSeconds(seconds);
}

/** Formats a duration: `4m10s`, `1h05m`, `12s`, `0.4s`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)}s`;
  const whole = Math.round(seconds);
  const two = (value: number): string => String(value).padStart(2, "0");
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m${two(whole % 60)}s`;
  return `${Math.floor(whole / 3600)}h${two(Math.floor((whole % 3600) / 60))}m`;
}

function percent(ratio: number): string {
  if (ratio < 0.001) return "under 0.1%";
  return ratio < 0.0095 ? `${(100 * ratio).toFixed(1)}%` : `${Math.round(100 * ratio)}%`;
}

/**
 * Formats a speedup. Above a thousand the prediction means little, because it counts the arithmetic of a step and the
 * rest of the time is overhead.
 */
function factor(speedUp: number): string {
  if (speedUp > 1000) return "over 1,000x";
  return `${speedUp >= 10 ? Math.round(speedUp).toLocaleString("en-US") : speedUp.toFixed(1)}x`;
}
