/** The loss that somebody has named: the caller, or the file where what it says fits the targets. */
import { UsageError } from "../errors.ts";
import { arrayForm } from "./array-form.ts";
import { isByShape } from "./compile-config.ts";
import type { Loss } from "./losses/loss.ts";
import { lossClassName, lossOf, namedLoss } from "./losses/loss.ts";
import type { LossArgument } from "./losses/loss-argument.ts";
import type { OutputQuestion } from "./output-question.ts";
import { askedKind } from "./output-question.ts";
import type { TargetFacts } from "./target-facts.ts";
import type { TaskKind } from "./task.ts";

export interface StatedLoss {
  readonly argument: LossArgument;
  readonly loss: Loss;
  readonly source: "caller" | "file";
}

/** @throws {UsageError} for a loss of the caller's that is not known, or that does not do what the caller asks. */
export function statedLoss(question: OutputQuestion): StatedLoss | null {
  const { asked, compiled } = question;
  if (asked.loss !== undefined && asked.loss !== null) {
    const argument = byShape(asked.loss, question);
    const loss = lossOf(argument);
    const kind = askedKind(question);
    if (kind !== undefined && !serves(loss, kind)) {
      throw new UsageError(
        `loss ${loss.name}: expected one for the task ${asked.task}, got one for ${loss.kind}. Leave one of the two out.`,
        "loss-task",
      );
    }
    return { argument, loss, source: "caller" };
  }
  if (compiled?.loss === undefined || compiled.loss === null) return null;
  const argument = fitted(byShape(compiled.loss, question), question);
  return argument === null ? null : { argument, loss: lossOf(argument), source: "file" };
}

/** Returns the loss that `crossentropy` means for the output and its targets (`get_loss` in `keras/src/trainers/compile_utils.py`). */
function byShape(argument: LossArgument, { output, facts }: OutputQuestion): LossArgument {
  if (typeof argument === "function" || !isByShape(namedLoss(argument).given)) return argument;
  if (output.units === 1) return "binary_crossentropy";
  const isSparse = facts?.form === "array" && arrayForm(output, facts).indexShaped;
  return isSparse ? "sparse_categorical_crossentropy" : "categorical_crossentropy";
}

function serves({ kind: own }: Loss, kind: TaskKind): boolean {
  if (own === "any" || own === kind) return true;
  return own === "labels" || (own === "values" && kind === "classes");
}

/** Returns the file's loss where it fits the targets, or its like for targets in the other form; null elsewhere. */
function fitted(argument: LossArgument, question: OutputQuestion): LossArgument | null {
  const { facts, output } = question;
  const loss = lossOf(argument);
  const kind = askedKind(question);
  if (kind !== undefined && !serves(loss, kind)) return null;
  switch (facts?.form) {
    case undefined:
      return argument;
    case "classes":
      return fitsClasses(loss, facts.names.length, question) ? argument : null;
    case "labels":
      return loss.kind === "labels" || (loss.kind === "any" && loss.targets === "values") ? argument : null;
    case "numbers":
      return fitsNumbers(loss, facts, output.units) ? argument : null;
    case "array":
      return fittedToArray(argument, loss, question, facts);
  }
}

function fitsClasses({ kind }: Loss, count: number, { output }: OutputQuestion): boolean {
  const { activation, units } = output;
  const counts = units === count || (units === 1 && count === 2);
  const isProbability = activation === "softmax" || activation === "sigmoid";
  switch (kind) {
    case "classes":
      return true;
    case "labels":
      return counts;
    case "values":
      return counts && isProbability;
    case "any":
      return isProbability || counts;
  }
}

function fitsNumbers(
  { kind, targets }: Loss,
  { size, range }: TargetFacts & { form: "numbers" },
  units: number | null,
): boolean {
  if (kind === "labels") return range.low >= 0 && range.high <= 1;
  if (targets === "indices")
    return size === 1 && range.whole && range.low >= 0 && range.high < (units ?? Infinity);
  return kind !== "classes" && targets === "values";
}

function fittedToArray(
  argument: LossArgument,
  loss: Loss,
  { output }: OutputQuestion,
  facts: TargetFacts & { form: "array" },
): LossArgument | null {
  const form = arrayForm(output, facts);
  const isNewWidth = form.width > 1 && !form.valueShaped && facts.tensor.shape.length === 2;
  switch (loss.targets) {
    case "identities":
    case "sequences":
      return argument;
    case "indices":
      if (form.indexShaped) return form.countable || hasIgnored(loss) ? argument : null;
      return form.valueShaped || isNewWidth ? oneHotForm(loss) : null;
    case "values":
      if (loss.name === "categorical_crossentropy" && form.indexShaped && form.countable)
        return indexForm(loss);
      if (loss.kind === "labels" && !form.shares) return null;
      return form.valueShaped || (isNewWidth && loss.kind !== "values") ? argument : null;
  }
}

function hasIgnored({ settings }: Loss): boolean {
  return (settings["ignore_class"] ?? null) !== null;
}

/** The cross-entropy of one-hot targets in place of that of indices; null where a setting would be lost. */
function oneHotForm(loss: Loss): LossArgument | null {
  if (loss.name !== "sparse_categorical_crossentropy" || hasIgnored(loss)) return null;
  return crossentropy("categorical_crossentropy", loss);
}

function indexForm(loss: Loss): LossArgument | null {
  return loss.settings["label_smoothing"] === 0
    ? crossentropy("sparse_categorical_crossentropy", loss)
    : null;
}

function crossentropy(name: string, { settings }: Loss): LossArgument {
  if (settings["from_logits"] !== true) return name;
  return { class_name: lossClassName(name) ?? name, config: { from_logits: true } };
}
