/** Decides what each output of a model is asked. */
import { hubArguments } from "../architectures/hub/hub-models.ts";
import type { Checkpoint } from "../checkpoint.ts";
import type { Dataset } from "../data/dataset.ts";
import { UsageError } from "../errors.ts";
import { optionName } from "../options.ts";
import { layerGraph } from "../topology/build-graph.ts";
import { kerasMajor } from "../topology/dialects/dialect.ts";
import { compiledIn } from "./compile-config.ts";
import { defaultMetrics } from "./default-metrics.ts";
import { chooseHead, isPerPosition } from "./head-choice.ts";
import { isImageNet } from "./imagenet-labels.ts";
import { kindOf, requireScaledMasks } from "./kind-of.ts";
import { lossByHead } from "./loss-by-head.ts";
import { lossClassName, lossOf } from "./losses/loss.ts";
import type { LossArgument } from "./losses/loss-argument.ts";
import type { ModelOutput } from "./model-outputs.ts";
import { modelOutputs } from "./model-outputs.ts";
import type { AskedOutput, OutputQuestion } from "./output-question.ts";
import type { StatedLoss } from "./stated-loss.ts";
import { statedLoss } from "./stated-loss.ts";
import { targetFacts } from "./target-facts.ts";
import type { AskedTask, ByOutput, Task, TaskOutput } from "./task.ts";

/**
 * Returns what each output of the model is asked: by what the caller says, else by the file's compile config where its loss fits the
 * targets, else by the head and the targets. Pure.
 * @throws {UsageError} for a loss or a task that is not known, or that the data contradicts.
 * @throws {DataError} for masks of 0 and 255 as targets of a sigmoid.
 *
 * @example
 * const { outputs } = taskOf(checkpoint, await imageFolder("photos/"));
 * console.log(outputs[0]?.loss, outputs[0]?.reason);
 */
export function taskOf(checkpoint: Checkpoint, dataset?: Dataset, asked: AskedTask = {}): Task {
  const graph = layerGraph(checkpoint);
  const outputs = modelOutputs(graph);
  const { labels, newLayers } = checkpoint.notes;
  const isOfHub = hubArguments(checkpoint.modelConfig) !== undefined;
  const names = outputs.map(({ name }) => name);
  const compiled = compiledIn(checkpoint.trainingConfig, names, kerasMajor(checkpoint.kerasVersion));
  const facts = targetFacts(dataset, names);
  const warnings = (compiled?.passedOver ?? []).map(
    (what) => `The file names the ${what}, which is code in Python or unknown here: it is passed over.`,
  );
  const decided = outputs.map((output, index) => {
    const question: OutputQuestion = {
      output,
      facts: facts[index] ?? null,
      compiled: compiled?.outputs[index],
      hasCompiledMetrics: compiled?.hasMetrics ?? false,
      asked: askedOf(asked, names, index),
      knownLabels: outputs.length === 1 ? labels : undefined,
      isImageNet: labels === undefined && isImageNet(graph, newLayers, isOfHub),
    };
    return decide(question, warnings);
  });
  return { outputs: decided, warnings };
}

function decide(question: OutputQuestion, warnings: string[]): TaskOutput {
  const { output, compiled, asked } = question;
  const isLeftOut = asked.loss === undefined && compiled?.loss === null;
  if (asked.loss === null || isLeftOut) return untrained(output);
  const stated = statedLoss(question);
  requireScaledMasks(question);
  const kind = kindOf(question, stated?.loss ?? null);
  const perPosition = isPerPosition(question);
  const { warning, ...head } = chooseHead(question, { kind, perPosition, loss: stated?.loss ?? null });
  if (warning !== undefined) warnings.push(warning);
  const { loss: plain, reason } = stated ? statedReason(stated) : lossByHead(question, kind, head);
  const loss = smoothed(plain, asked.labelSmoothing ?? 0, question);
  const judged = {
    ...{ kind, perPosition, activation: head.activation, units: head.units },
    rank: perPosition ? output.shape.length : 2,
    indices: lossOf(loss).targets === "indices",
  };
  const isOwn = stated?.source !== "caller" && question.hasCompiledMetrics;
  return {
    name: output.name,
    kind,
    perPosition,
    ...head,
    loss,
    lossWeight: asked.lossWeight ?? compiled?.lossWeight ?? 1,
    metrics: asked.metrics ?? (isOwn ? compiled?.metrics : undefined) ?? defaultMetrics(judged),
    weightedMetrics: asked.weightedMetrics ?? (isOwn ? compiled?.weightedMetrics : undefined) ?? [],
    reason,
  };
}

/**
 * Returns the loss with that much smoothing of its targets; one of class indices becomes that of one-hot targets where the data's
 * classes can be either.
 */
function smoothed(argument: LossArgument, smoothing: number, { facts }: OutputQuestion): LossArgument {
  if (smoothing === 0) return argument;
  const loss = lossOf(argument);
  const isFree = facts?.form === "classes" && !facts.perPosition;
  const name =
    loss.name === "sparse_categorical_crossentropy" && isFree ? "categorical_crossentropy" : loss.name;
  if (typeof argument !== "function" && "label_smoothing" in lossOf(name).settings) {
    const { ignore_class: _ignored, ...settings } = loss.settings;
    return { class_name: lossClassName(name) ?? name, config: { ...settings, label_smoothing: smoothing } };
  }
  throw new UsageError(
    `${optionName("labelSmoothing")}: expected a cross-entropy of one-hot or binary targets, got ${loss.name}. Give one-hot targets and the loss categorical_crossentropy.`,
    "label-smoothing",
    "labelSmoothing",
  );
}

function statedReason({ argument, source }: StatedLoss): { loss: LossArgument; reason: string } {
  return { loss: argument, reason: source === "caller" ? "as asked" : "as compiled in the file" };
}

function untrained({ name, shape, units, activation }: ModelOutput): TaskOutput {
  return {
    ...{ name, kind: "values", perPosition: shape.length > 2, activation, units, head: "kept" },
    ...{ loss: null, lossWeight: 1, metrics: [], weightedMetrics: [], reason: "no loss" },
  };
}

function askedOf(asked: AskedTask, names: readonly string[], index: number): AskedOutput {
  const { task, classes, keepHead, labelSmoothing } = asked;
  return {
    ...{ task, classes, keepHead, labelSmoothing },
    loss: lossFor(asked.loss, names, index),
    lossWeight: weightFor(asked.lossWeights, names, index),
    metrics: listFor(asked.metrics, names, index, "metrics"),
    weightedMetrics: listFor(asked.weightedMetrics, names, index, "weightedMetrics"),
  };
}

function lossFor(
  loss: AskedTask["loss"],
  names: readonly string[],
  index: number,
): LossArgument | null | undefined {
  if (loss === undefined || typeof loss !== "object" || "class_name" in loss)
    return loss as LossArgument | undefined;
  const record = loss as ByOutput<LossArgument | null>;
  requireOutputs(record, names, "loss");
  const own = record[names[index] ?? ""];
  // Where some outputs have a loss by name, the others are not trained, as in Keras.
  return own === undefined ? null : own;
}

function weightFor(
  weights: AskedTask["lossWeights"],
  names: readonly string[],
  index: number,
): number | undefined {
  if (weights === undefined) return undefined;
  if (!Array.isArray(weights)) {
    const record = weights as ByOutput<number>;
    requireOutputs(record, names, "lossWeights");
    return record[names[index] ?? ""];
  }
  if (weights.length === names.length) return (weights as readonly number[])[index];
  throw new UsageError(
    `lossWeights: expected ${names.length}, one for each of ${names.join(", ")}, got ${weights.length}.`,
    "loss-weights",
  );
}

function listFor<T>(
  list: readonly T[] | ByOutput<readonly T[]> | undefined,
  names: readonly string[],
  index: number,
  what: string,
): readonly T[] | undefined {
  if (list === undefined || Array.isArray(list)) return list as readonly T[] | undefined;
  const record = list as ByOutput<readonly T[]>;
  requireOutputs(record, names, what);
  return record[names[index] ?? ""] ?? [];
}

function requireOutputs(record: ByOutput<unknown>, names: readonly string[], what: string): void {
  const strange = Object.keys(record).find((name) => !names.includes(name));
  if (strange === undefined) return;
  throw new UsageError(
    `${what}: expected outputs of the model (${names.join(", ")}), got "${strange}".`,
    "output-unknown",
  );
}
