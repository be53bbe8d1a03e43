import type { Json, JsonObject } from "../checkpoint.ts";
import { TopologyError } from "../errors.ts";

/** Penalty that a regularizer adds to the loss for one tensor (`keras/src/regularizers/regularizers.py`). */
export type Penalty = NormPenalty | OrthogonalPenalty;

/** The penalty `l1 * sum(|w|) + l2 * sum(w²)`. */
export interface NormPenalty {
  readonly l1: number;
  readonly l2: number;
}

/** The penalty of OrthogonalRegularizer: `factor` times the mean absolute cosine of all pairs of rows or columns. */
export interface OrthogonalPenalty {
  readonly factor: number;
  readonly mode: "rows" | "columns";
}

/**
 * Returns the penalty of a regularizer config, null if there is none.
 * @param path Path of the layer, for errors.
 * @param rank Rank of the regularized tensor.
 * @throws {TopologyError} for a custom regularizer, or one that does not apply to this rank.
 */
export function penaltyOf(path: string, regularizer: Json | undefined, rank: number): Penalty | null {
  if (regularizer === null || regularizer === undefined) return null;
  if (typeof regularizer === "string") return namedPenalty(path, regularizer, {}, rank);
  const { class_name: name, config } = regularizer as { class_name: string; config?: JsonObject };
  return namedPenalty(path, name, config ?? {}, rank);
}

function namedPenalty(path: string, name: string, config: JsonObject, rank: number): Penalty {
  const strength = (key: string, otherwise: number): number => Number(config[key] ?? otherwise);
  switch (name.slice(name.lastIndexOf(">") + 1).toLowerCase()) {
    case "l1":
      return { l1: strength("l1", 0.01), l2: 0 };
    case "l2":
      return { l1: 0, l2: strength("l2", 0.01) };
    case "l1l2":
    case "l1_l2":
      return { l1: strength("l1", 0), l2: strength("l2", 0) };
    case "orthogonalregularizer":
    case "orthogonal_regularizer":
      if (rank !== 2) throw refused(path, `${name}: expected a weight of rank 2, got rank ${rank}`);
      return {
        factor: strength("factor", 0.01),
        mode: config["mode"] === "columns" ? "columns" : "rows",
      };
    default:
      throw refused(
        path,
        `${name}: expected L1, L2, L1L2 or OrthogonalRegularizer, got a custom regularizer`,
      );
  }
}

function refused(path: string, what: string): TopologyError {
  return new TopologyError(
    `${path}: regularizer ${what}. Remove the regularizer, or freeze the layer in a file of Keras 3.`,
    "unsupported-regularizer",
  );
}
