/** @file Fits the steps of a run into the memory that it may take: fewer samples a step, whose gradients are accumulated to the same update. */
import { totalmem } from "node:os";
import type { EngineInfo } from "../engine/engine-info.ts";
import { wasmBytes } from "../engine/out-of-memory.ts";
import { UsageError } from "../errors.ts";
import type { PhasedModel } from "../features/cut.ts";
import { formatBytes, shortList } from "../freeze/number-text.ts";
import { couplesBatch } from "../freeze/partition.ts";
import type { FinetunePlan } from "../freeze/plan.ts";
import { optionError, optionName, optionSetTo } from "../options.ts";
import { layerAt } from "../topology/layer-graph.ts";
import type { OptimizerConfig } from "../training/optimizer-config.ts";

/** Samples of a step, and steps of an update. */
export interface StepSize {
  readonly batchSize: number;
  readonly accumulate: number;
}

/** Share of the memory that a run may be predicted to take: predictions are too low by as much, as bench/PLAN.md has it. */
const predictedShare = 0.8;

/** Returns the largest memory in bytes that any phase is predicted to take; 0 where the plans do not say. */
export function processBytes(plans: readonly FinetunePlan[]): number {
  return Math.max(0, ...plans.map(({ cost }) => cost?.processBytes ?? 0));
}

/** A run whose steps are to fit. */
export interface MemoryQuestion {
  readonly asked: StepSize;
  /** Bytes that the process may take. */
  readonly memory: number;
  readonly trainSamples: number;
  /** False for an optimizer that goes on from a file: its count of steps is of the steps that it had. */
  readonly startsFresh: boolean;
  /** Returns the rows of an extraction's batches in so many bytes of memory; more memory never makes fewer. */
  readonly rowsWithin: (memory: number) => number;
  /** Returns the bytes that the process is predicted to take with such steps, and so many rows in a batch of its extraction. */
  readonly bytesOf: (step: StepSize, rows: number) => Promise<number>;
  /** Returns the bytes with one sample a step and nothing but the head trained; null where the run trains no more than that. */
  readonly headBytes: (rows: number) => Promise<number | null>;
}

/**
 * Returns the largest step that fits, of which so many make an update that it has as many samples as asked.
 * @throws {UsageError} where not even one sample a step fits, with what would.
 */
export async function fittedStep(question: MemoryQuestion): Promise<StepSize> {
  const { asked, memory, trainSamples, rowsWithin, bytesOf } = question;
  const allowed = predictedShare * memory;
  const rows = rowsWithin(memory);
  if ((await bytesOf(asked, rows)) <= allowed) return asked;
  if (!question.startsFresh) {
    throw optionError("memory", `room for steps of ${asked.batchSize} samples`, formatBytes(memory), {
      code: "memory-file-optimizer",
      advice: `${optionSetTo("optimizer", "file")} goes on from its steps, which cannot be made smaller. Lower ${optionName("batchSize")} yourself, or begin with a fresh optimizer.`,
    });
  }
  // An update of more samples than there are is one of all of them.
  const most = Math.min(asked.batchSize, Math.max(1, trainSamples));
  const stepOf = (batchSize: number): StepSize => ({
    batchSize,
    accumulate: (asked.accumulate * most) / batchSize,
  });
  for (let batchSize = most; batchSize >= 1; batchSize--) {
    if (most % batchSize !== 0) continue;
    if ((await bytesOf(stepOf(batchSize), rows)) <= allowed) return stepOf(batchSize);
  }
  const least = await enough(question, memory, (own) => bytesOf(stepOf(1), own));
  const hasHead = (await question.headBytes(1)) !== null;
  const head = hasHead
    ? await enough(question, 0, async (own) => (await question.headBytes(own)) ?? 0)
    : null;
  const onlyHead =
    head !== null && head < least
      ? `, or train the head alone, for which ${formatBytes(head)} are enough`
      : "";
  throw new UsageError(
    `${optionName("memory")}: expected ${formatBytes(least)} or more, which the run needs with one sample a step, got ${formatBytes(memory)}. Give it as much, freeze more${onlyHead}, or take an optimizer with fewer slots, such as SGD.`,
    "memory-too-small",
    "memory",
  );
}

/**
 * Returns a size from `from` on that a run fits into, with two digits: its extraction runs larger batches in more memory, which is
 * counted, and a process has a few percent more or less when it plans.
 */
async function enough(
  { rowsWithin }: MemoryQuestion,
  from: number,
  bytesOf: (rows: number) => Promise<number>,
): Promise<number> {
  for (let size = from; ; ) {
    const needed = (1.05 * (await bytesOf(rowsWithin(size)))) / predictedShare;
    if (needed <= size) return size;
    const unit = 10 ** (Math.floor(Math.log10(needed)) - 1);
    size = unit * Math.ceil(needed / unit);
  }
}

/** Returns a warm-up in the steps of which `split` take the place of one; a share of the phase stays what it is. */
export function splitWarmup(warmup: number, split: number): number {
  return warmup >= 1 ? warmup * split : warmup;
}

/** Returns the line that says how large steps are that had to be made smaller. */
export function fittedLine(step: StepSize, unit: string, bytes: number, memory: number): string {
  const { batchSize, accumulate } = step;
  return `memory    ${batchSize} ${unit} a step, ${accumulate} steps an update of ${batchSize * accumulate}: ${formatBytes(bytes)} of at most ${formatBytes(memory)}`;
}

/**
 * Returns what is not the same with several steps an update as with one, for each layer and option that it concerns. Everything else
 * is: the mean of the steps' gradients is the gradient of the update's samples.
 */
export function splitWarnings(
  { phases }: Pick<PhasedModel, "phases">,
  optimizers: readonly OptimizerConfig[],
  step: StepSize,
  trainSamples: number,
): string[] {
  const { batchSize, accumulate } = step;
  const whole = batchSize * accumulate;
  const coupled = [...new Set(phases.flatMap(({ cut }) => layersOverTheBatch(cut)))];
  const rest = trainSamples % whole;
  const ema = optimizers.some(({ settings }) => settings["use_ema"] === true);
  const scheduled = optimizers.some(({ settings }) => typeof settings["learning_rate"] !== "number");
  const option = optionName("memory");
  return [
    ...(coupled.length > 0
      ? [
          `${option}: ${shortList(coupled)}: computed over the ${batchSize} samples of a step and not over the ${whole} of an update, so that the result is not that of one batch. Freeze the statistics with ${optionSetTo("bnMode", "inference")}, which is the default.`,
        ]
      : []),
    ...(rest > 0 && trainSamples > whole
      ? [
          `${option}: the last ${rest} of ${trainSamples} samples of an epoch are joined to the first of the next for an update, where one batch would have made one of them alone.`,
        ]
      : []),
    ...(ema
      ? [
          `${optionName("ema")}: averages count steps, of which an update now has ${accumulate}: give its root of that order for the same average.`,
        ]
      : []),
    ...(scheduled
      ? [`optimizer: its schedule counts steps, of which an update now has ${accumulate}, as in Keras.`]
      : []),
  ];
}

/** Returns the paths of the layers in the dynamic part that compute over the samples of a step. */
function layersOverTheBatch({ graph, partition }: PhasedModel["phases"][number]["cut"]): readonly string[] {
  const dynamic = graph.nodes.filter((node) => partition.sides[node.index] === "dynamic");
  const coupling = dynamic.filter(
    (node) =>
      partition.batchStatistics.has(node.layer) ||
      (!/BatchNorm/.test(layerAt(graph, node.layer).className) &&
        couplesBatch(graph, node, layerAt(graph, node.layer))),
  );
  return coupling.map(({ layer }) => layer);
}

/** Returns a warning where a run without a limit is predicted to take more than there is. */
export function roomWarnings(plans: readonly FinetunePlan[], engine: EngineInfo): string[] {
  const bytes = processBytes(plans);
  const machine = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
  const [room, holder] =
    engine.name === "wasm" && wasmBytes < machine ? [wasmBytes, "WebAssembly"] : [machine, "this machine"];
  if (bytes <= room) return [];
  return [
    `memory: the run is predicted to take ${formatBytes(bytes)}, and ${holder} has ${formatBytes(room)}. Give ${optionSetTo("memory", formatBytes(room).replace(" ", ""))}, for steps that fit.`,
  ];
}
