/** The loss that the head and the targets say, where nobody has named one. */
import { arrayForm } from "./array-form.ts";
import type { HeadChoice } from "./head-choice.ts";
import { lossClassName } from "./losses/loss.ts";
import type { LossArgument } from "./losses/loss-argument.ts";
import type { OutputQuestion } from "./output-question.ts";
import type { TaskKind } from "./task.ts";

export interface HeadLoss {
  readonly loss: LossArgument;
  readonly reason: string;
}

export function lossByHead(
  { output, facts }: OutputQuestion,
  kind: TaskKind,
  { activation, units }: HeadChoice,
): HeadLoss {
  const form = facts?.form === "array" ? arrayForm(output, facts) : null;
  const range = facts && "range" in facts ? facts.range : null;
  const shares = range ? range.low >= 0 && range.high <= 1 : facts?.form !== "numbers";
  const fromLogits = activation === "linear";
  const isIndices =
    (form !== null && (form.indexShaped || form.width === 1)) ||
    facts?.form === "numbers" ||
    (facts?.form === "classes" && facts.perPosition);
  const because = (targets: string): string =>
    facts ? `by the head (${activation}) and the targets (${targets})` : `by the head (${activation})`;
  switch (kind) {
    case "classes":
      if (units === 1)
        return { loss: crossentropy("binary_crossentropy", fromLogits), reason: because("two classes") };
      if (activation === "sigmoid" && !isIndices)
        return { loss: "binary_crossentropy", reason: because("one-hot") };
      return isIndices
        ? {
            loss: crossentropy("sparse_categorical_crossentropy", fromLogits),
            reason: because("class indices"),
          }
        : {
            loss: crossentropy("categorical_crossentropy", fromLogits),
            reason: because(facts?.form === "classes" ? "classes" : "one-hot"),
          };
    case "labels":
      return {
        loss: crossentropy("binary_crossentropy", fromLogits),
        reason: because("any of several labels"),
      };
    case "values":
      if (activation === "sigmoid" && shares)
        return { loss: "binary_crossentropy", reason: because("from 0 to 1") };
      if (activation === "softmax") return { loss: "categorical_crossentropy", reason: because("shares") };
      return { loss: "mean_squared_error", reason: because("numbers") };
  }
}

function crossentropy(name: string, fromLogits: boolean): LossArgument {
  return fromLogits ? { class_name: lossClassName(name) ?? name, config: { from_logits: true } } : name;
}
