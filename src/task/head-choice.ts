/** Decides if a model's own output serves its task, and what a new head has to be. */
import { optionError } from "../options.ts";
import type { ArrayForm } from "./array-form.ts";
import { arrayForm } from "./array-form.ts";
import { imagenetLabels } from "./imagenet-labels.ts";
import type { Loss } from "./losses/loss.ts";
import { lossOf } from "./losses/loss.ts";
import type { ModelOutput } from "./model-outputs.ts";
import type { OutputQuestion } from "./output-question.ts";
import type { TargetFacts } from "./target-facts.ts";
import type { TaskKind } from "./task.ts";

export interface HeadChoice {
  readonly head: "kept" | "new";
  readonly units: number | null;
  readonly activation: string;
  /** Class names in output order. */
  readonly labels?: readonly string[];
  readonly warning?: string;
}

interface Asked {
  readonly kind: TaskKind;
  readonly perPosition: boolean;
  /** The loss that somebody has named. */
  readonly loss: Loss | null;
}

/** @throws {UsageError} where the data has other classes than asked. */
export function chooseHead(question: OutputQuestion, asked: Asked): HeadChoice {
  const { facts, knownLabels } = question;
  const ownLabels = question.isImageNet ? imagenetLabels : knownLabels;
  if (!facts) return keptAsItIs(question, ownLabels);
  const wanted = wantedUnits(question, asked);
  requireClasses(question, asked, wanted);
  const own = serves(question, asked, wanted);
  const names = "names" in facts ? (facts.names ?? undefined) : undefined;
  if (question.asked.keepHead && names && knowsAll(question, asked, names))
    return keptAsItIs(question, knownLabels);
  if (asked.kind === "values")
    return own ? keptAsItIs(question, undefined) : newHead(asked, wanted, undefined, question);
  if (!own) return newHead(asked, wanted, names, question);
  const labels = knownLabels?.length === labelCount(question, asked) ? knownLabels : undefined;
  if (names === undefined) return keptAsItIs(question, question.isImageNet ? imagenetLabels : labels);
  if (question.isImageNet && sameNames(imagenetLabels, names)) return keptAsItIs(question, imagenetLabels);
  if (labels === undefined) return keptUnnamed(question, names, asked);
  if (sameNames(labels, names)) return keptAsItIs(question, labels);
  if (!question.asked.keepHead) return newHead(asked, wanted, names, question);
  const warning = `The head is kept as requested, although its labels are ${listed(labels)} and those of the data are ${listed(names)}.`;
  return { ...keptAsItIs(question, names), warning };
}

function keptAsItIs({ output }: OutputQuestion, labels: readonly string[] | undefined): HeadChoice {
  const { units, activation } = output;
  return { head: "kept", units, activation, ...(labels && { labels }) };
}

function keptUnnamed(question: OutputQuestion, names: readonly string[], asked: Asked): HeadChoice {
  const kept = keptAsItIs(question, names);
  if (question.asked.keepHead) return kept;
  const warning = `The head has ${labelCount(question, asked)} classes and the file has no labels: it is kept, and its outputs are taken to be ${listed(names)} in this order.`;
  return { ...kept, warning };
}

function newHead(
  { kind, loss }: Asked,
  wanted: number,
  names: readonly string[] | undefined,
  { output }: OutputQuestion,
): HeadChoice {
  const fromLogits = loss?.settings["from_logits"] === true;
  const isBinary =
    kind === "classes" &&
    wanted === 2 &&
    (loss?.kind === "labels" ||
      (loss === null && output.hasHead && output.units === 1 && output.activation === "sigmoid"));
  const sigmoids = kind === "labels" || loss?.kind === "labels" || isBinary;
  const activation =
    fromLogits || kind === "values" || loss?.name.endsWith("hinge")
      ? "linear"
      : sigmoids
        ? "sigmoid"
        : "softmax";
  const numbered = Array.from({ length: wanted }, (_, index) => String(index));
  const labels = names ?? (kind === "values" ? undefined : numbered);
  return { head: "new", units: isBinary ? 1 : wanted, activation, ...(labels && { labels }) };
}

/** Returns the number of classes, labels or values in the data. */
function wantedUnits({ facts, asked, output }: OutputQuestion, { kind }: Asked): number {
  switch (facts?.form) {
    case "classes":
    case "labels":
      return facts.names.length;
    case "numbers":
      return kind === "classes" ? Math.max(2, facts.range.high + 1) : facts.size;
    case "array": {
      if (facts.names && kind !== "values") return facts.names.length;
      const form = arrayForm(output, facts);
      if (form.width > 1 || kind === "values") return form.width;
      return Math.max(asked.classes ?? 2, facts.range.high + 1, 2);
    }
    case undefined:
      return output.units ?? 1;
  }
}

function requireClasses({ asked, facts }: OutputQuestion, { kind }: Asked, wanted: number): void {
  if (asked.classes === undefined || facts === null) return;
  const fits = kind !== "values" && asked.classes === wanted;
  if (fits) return;
  throw optionError("classes", `${wanted}, the classes in the data`, asked.classes, { code: "classes" });
}

/** Returns the number of classes that the output distinguishes: a lone unit serves two. */
function labelCount({ output }: OutputQuestion, { kind }: Asked): number | null {
  return kind === "classes" && output.units === 1 ? 2 : output.units;
}

function serves(question: OutputQuestion, asked: Asked, wanted: number): boolean {
  const { output, facts } = question;
  const form = facts?.form === "array" ? arrayForm(output, facts) : null;
  if (isConstant(output)) return false;
  // A loss that somebody has named takes any output that its targets fit.
  if (asked.loss && form && (form.valueShaped || ["identities", "sequences"].includes(asked.loss.targets)))
    return true;
  if (form?.ofSamples) return false;
  if (output.shape.length > 2 && !asked.perPosition) return false;
  switch (asked.kind) {
    case "classes":
      return servesClasses(question, asked, wanted, form);
    case "labels":
      return (
        output.units === wanted &&
        scoresLabels(output.activation, asked.loss) &&
        !(output.activation === "linear" && isRegression(question))
      );
    case "values":
      return servesValues(question, asked, wanted, form);
  }
}

/** Tells if the output is the same for every sample: a softmax of one unit is always 1. */
export function isConstant({ activation, units }: Pick<ModelOutput, "activation" | "units">): boolean {
  return activation === "softmax" && units === 1;
}

function servesClasses(
  question: OutputQuestion,
  { loss }: Asked,
  wanted: number,
  form: ArrayForm | null,
): boolean {
  const { output } = question;
  const { activation, units } = output;
  const isIndices = form?.indexShaped === true && output.hasHead;
  const counts = isIndices
    ? servesIndices(question, wanted)
    : units === wanted || (units === 1 && wanted === 2);
  if (!counts) return false;
  if (activation === "softmax" || activation === "sigmoid") return true;
  if (loss) return activation === "linear" ? loss.kind !== "values" : loss.kind === "any";
  return activation === "linear" && output.hasHead && !isRegression(question);
}

/**
 * Tells if the output serves an array of indices that nothing names. More of them than units are an error of the targets; fewer are
 * another task, unless the head is to be kept or the file says that the output was made for such targets.
 */
function servesIndices(
  { output, facts, asked, compiled, knownLabels }: OutputQuestion,
  wanted: number,
): boolean {
  const units = output.units ?? wanted;
  if (wanted === units) return true;
  const isNamed = asked.classes !== undefined || (facts?.form === "array" && facts.names !== undefined);
  if (isNamed) return false;
  const isMadeForIndices =
    knownLabels !== undefined || (compiled?.loss !== undefined && compiled.loss !== null);
  return wanted > units || asked.keepHead === true || isMadeForIndices;
}

/** Tells if the file says that its linear output was made for numbers. */
function isRegression({ compiled }: OutputQuestion): boolean {
  return (
    compiled?.loss !== undefined &&
    compiled.loss !== null &&
    typeof compiled.loss !== "function" &&
    lossOf(compiled.loss).kind === "values"
  );
}

function scoresLabels(activation: string, loss: Loss | null): boolean {
  if (activation === "sigmoid") return true;
  return (
    activation === "linear" && (loss === null || loss.settings["from_logits"] === true || loss.kind === "any")
  );
}

function servesValues(
  { output, facts }: OutputQuestion,
  { loss }: Asked,
  wanted: number,
  form: ArrayForm | null,
): boolean {
  const range = facts && "range" in facts ? facts.range : null;
  const fits = form ? form.valueShaped : output.units === wanted;
  if (!fits || loss) return fits;
  if (output.activation === "softmax")
    return form !== null && range !== null && range.low >= 0 && range.high <= 1;
  return output.activation !== "sigmoid" || (range !== null && range.low >= 0 && range.high <= 1);
}

/** Tells if the file's labels are the output's, and the data's are among them. */
function knowsAll(question: OutputQuestion, asked: Asked, names: readonly string[]): boolean {
  const { knownLabels } = question;
  if (knownLabels?.length !== labelCount(question, asked)) return false;
  return names.every((name) => knownLabels.includes(name)) && serves(question, asked, knownLabels.length);
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  const names = new Set(a);
  return names.size === new Set(b).size && b.every((name) => names.has(name));
}

/** Returns the first names of a list, and how many more there are. */
export function listed(names: readonly string[], most = 5): string {
  const shown = names.slice(0, most).join(", ");
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}

/** Returns whether what is decided has targets at the output's positions. */
export function isPerPosition({ output, facts }: OutputQuestion): boolean {
  switch (facts?.form) {
    case undefined:
      return output.shape.length > 2;
    case "classes":
      return facts.perPosition;
    case "array":
      return arrayForm(output, facts).perPosition;
    default:
      return false;
  }
}

/** Returns the facts of an array; null for any other. */
export function arrayOf(facts: TargetFacts | null): (TargetFacts & { form: "array" }) | null {
  return facts?.form === "array" ? facts : null;
}
