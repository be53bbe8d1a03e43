/** Decides if an output has classes, labels or values. */
import { DataError } from "../errors.ts";
import { toFloat32 } from "../tensor.ts";
import { arrayForm, isOneHot } from "./array-form.ts";
import type { Loss } from "./losses/loss.ts";
import type { ModelOutput } from "./model-outputs.ts";
import type { OutputQuestion } from "./output-question.ts";
import { askedKind } from "./output-question.ts";
import type { TargetFacts } from "./target-facts.ts";
import type { TaskKind } from "./task.ts";

/** @param loss the loss that somebody has named. */
export function kindOf(question: OutputQuestion, loss: Loss | null): TaskKind {
  const asked = askedKind(question);
  if (asked !== undefined) return asked;
  const { output, facts } = question;
  switch (facts?.form) {
    case undefined:
      return withoutData(question, loss);
    case "classes":
      return "classes";
    case "labels":
      return "labels";
    case "numbers":
      return ofNumbers(output, loss, facts);
    case "array":
      return loss ? byLoss(output, loss, facts) : ofArray(output, facts);
  }
}

function withoutData(
  { output: { activation, units }, knownLabels }: OutputQuestion,
  loss: Loss | null,
): TaskKind {
  if (loss?.kind === "classes" || loss?.kind === "values") return loss.kind;
  const sigmoids = units === 1 ? "classes" : "labels";
  if (loss?.kind === "labels") return sigmoids;
  if (activation === "softmax") return "classes";
  if (activation === "sigmoid") return sigmoids;
  // A file that knows as many labels as the output has units tells classes apart by logits.
  const named = knownLabels !== undefined && knownLabels.length === (units === 1 ? 2 : units);
  return activation === "linear" && named ? "classes" : "values";
}

function ofNumbers(
  { activation, units }: ModelOutput,
  loss: Loss | null,
  { size, range }: TargetFacts & { form: "numbers" },
): TaskKind {
  const shares = range.low >= 0 && range.high <= 1;
  const sigmoids = range.whole ? (units === 1 ? "classes" : "labels") : "values";
  if (loss) return loss.kind === "classes" ? "classes" : loss.kind === "labels" ? sigmoids : "values";
  const countable = range.whole && size === 1 && range.low >= 0 && range.high < (units ?? 0);
  if (activation === "softmax" && countable) return "classes";
  return activation === "sigmoid" && shares && units === size ? sigmoids : "values";
}

function byLoss(output: ModelOutput, loss: Loss, facts: TargetFacts & { form: "array" }): TaskKind {
  const form = arrayForm(output, facts);
  const sigmoids = form.binary ? (form.width === 1 ? "classes" : "labels") : "values";
  if (loss.kind === "classes") return "classes";
  // A binary cross-entropy on rows of one 1 each tells classes apart.
  if (loss.kind === "labels") return form.binary && isOneHot(facts.tensor) ? "classes" : sigmoids;
  // A softmax that is trained on one-hot targets tells classes apart, whatever the distance.
  const tellsClasses =
    output.activation === "softmax" && form.binary && form.width > 1 && isOneHot(facts.tensor);
  if (tellsClasses) return "classes";
  if (loss.kind === "values") return "values";
  return output.activation === "sigmoid" || loss.name.endsWith("hinge") ? sigmoids : "values";
}

function ofArray(output: ModelOutput, facts: TargetFacts & { form: "array" }): TaskKind {
  const form = arrayForm(output, facts);
  const { activation, units, hasHead } = output;
  if (facts.names) return "classes";
  const isFree = form.ofSamples || !hasHead || (!form.valueShaped && !form.indexShaped);
  if (isFree && !form.valueShaped) return byTargets(form.width, form.binary, form.countable, facts);
  if (activation === "softmax") return form.valueShaped || form.countable ? "classes" : "values";
  if (activation === "sigmoid") {
    if (!form.valueShaped) return form.countable ? "classes" : "values";
    if (form.binary) return units === 1 ? "classes" : "labels";
    return units === 1 && form.countable && areAllIndices(facts) ? "classes" : "values";
  }
  return !form.valueShaped && form.countable ? "classes" : "values";
}

function byTargets(
  width: number,
  binary: boolean,
  countable: boolean,
  { tensor }: TargetFacts & { form: "array" },
): TaskKind {
  if (width === 1) return countable ? "classes" : "values";
  if (!binary) return "values";
  return isOneHot(tensor) ? "classes" : "labels";
}

/** Tells if every index from 0 to the highest occurs: then a lone sigmoid, made for two classes, is given more of them. */
function areAllIndices({ tensor, range }: TargetFacts & { form: "array" }): boolean {
  return new Set(toFloat32(tensor)).size === range.high + 1;
}

/**
 * Refuses masks as images store them, 0 and 255, for an output that tells foreground from background: no loss is made for them, and
 * Keras's binary cross-entropy becomes negative.
 * @throws {DataError} for such targets.
 */
export function requireScaledMasks({ output, facts }: OutputQuestion): void {
  if (facts?.form !== "array" || output.activation !== "sigmoid" || output.shape.length < 3) return;
  if (facts.range.low !== 0 || facts.range.high !== 255 || new Set(toFloat32(facts.tensor)).size > 2) return;
  throw new DataError(
    `targets of ${output.name}: expected 0 and 1 in masks for a sigmoid, got 0 and 255. Divide the masks by 255.`,
    "targets",
  );
}
