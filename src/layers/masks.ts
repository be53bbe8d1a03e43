import { tf } from "../engine/tf.ts";
import type { KernelArgument } from "./kernel.ts";

/** The masks of a call's inputs: those of its `mask` argument where it has one, else those that came with the inputs. */
export function givenMasks(
  attached: readonly (tf.Tensor | undefined)[],
  argument: KernelArgument | undefined,
): readonly (tf.Tensor | undefined)[] {
  if (argument instanceof tf.Tensor) return [asMask(argument), ...attached.slice(1)];
  if (!Array.isArray(argument)) return attached;
  return attached.map((mask, index) => {
    const given = (argument as readonly KernelArgument[])[index];
    return given instanceof tf.Tensor ? asMask(given) : mask;
  });
}

/** An input of the model that serves as a mask comes as numbers. */
function asMask(given: tf.Tensor): tf.Tensor {
  return given.dtype === "bool" ? given : tf.cast(given, "bool");
}

/** Value by value: the one where `shown`, which broadcasts to it, is true, else the other. */
export function chosen(shown: tf.Tensor, one: tf.Tensor, other: tf.Tensor): tf.Tensor {
  return tf.where(tf.logicalOr(shown, tf.cast(tf.zerosLike(one), "bool")), one, other);
}
