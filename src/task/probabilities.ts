import type { TaskOutput } from "./task.ts";

/**
 * Returns the probabilities of an output's classes or labels for one sample: logits become probabilities, and the score of a lone
 * unit is that of the second of two classes.
 */
export function probabilitiesOf(
  { kind, activation }: Pick<TaskOutput, "kind" | "activation">,
  scores: Float32Array,
): readonly number[] {
  const isAlone = kind === "classes" && scores.length === 1;
  const isSigmoid = kind === "labels" || isAlone;
  const given =
    activation === "linear"
      ? isSigmoid
        ? Array.from(scores, sigmoid)
        : softmax(scores)
      : Array.from(scores);
  return isAlone ? [1 - (given[0] ?? Number.NaN), given[0] ?? Number.NaN] : given;
}

function sigmoid(logit: number): number {
  return 1 / (1 + Math.exp(-logit));
}

function softmax(logits: Float32Array): number[] {
  const highestLogit = Math.max(...logits);
  const powers = Array.from(logits, (logit) => Math.exp(logit - highestLogit));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}
