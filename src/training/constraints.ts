import type { Json, JsonObject } from "../checkpoint.ts";
import { tf } from "../engine/tf.ts";
import { TopologyError } from "../errors.ts";

/** Projection of a weight after an update (`keras/src/constraints/constraints.py`); a new tensor, the caller's. */
export type Constraint = (weight: tf.Tensor) => tf.Tensor;

const epsilon = 1e-7;

/** @throws {TopologyError} for a constraint other than MaxNorm, MinMaxNorm, NonNeg and UnitNorm. */
export function constraintOf(path: string, constraint: Json | undefined): Constraint | null {
  if (constraint === null || constraint === undefined) return null;
  if (typeof constraint === "string") return namedConstraint(path, constraint, {});
  const { class_name: name, config } = constraint as { class_name: string; config?: JsonObject };
  return namedConstraint(path, name, config ?? {});
}

function namedConstraint(path: string, name: string, config: JsonObject): Constraint {
  const number = (key: string, otherwise: number): number => Number(config[key] ?? otherwise);
  const axis = (config["axis"] ?? 0) as number | number[];
  switch (name.split(">").at(-1)!.toLowerCase().replaceAll("_", "")) {
    case "maxnorm":
      return scaled(axis, (norms) => tf.clipByValue(norms, 0, number("max_value", number("m", 2))));
    case "minmaxnorm": {
      const rate = number("rate", 1);
      const [low, high] = [number("min_value", 0), number("max_value", 1)];
      return scaled(axis, (norms) =>
        tf.add(tf.mul(tf.clipByValue(norms, low, high), rate), tf.mul(norms, 1 - rate)),
      );
    }
    case "nonneg":
      return (weight) => tf.maximum(weight, 0);
    case "unitnorm":
      return scaled(axis, (norms) => tf.onesLike(norms));
    default:
      throw new TopologyError(
        `${path}: constraint ${name}: expected MaxNorm, MinMaxNorm, NonNeg or UnitNorm, got another. Freeze the layer or remove its constraint.`,
        "unsupported-constraint",
      );
  }
}

/** Vectors along `axis` brought to the lengths that `desired` gives for theirs. */
function scaled(axis: number | number[], desired: (norms: tf.Tensor) => tf.Tensor): Constraint {
  return (weight) =>
    tf.tidy(() => {
      const norms = tf.sqrt(tf.sum(tf.square(weight), axis, true));
      return tf.mul(weight, tf.div(desired(norms), tf.add(norms, epsilon)));
    });
}
