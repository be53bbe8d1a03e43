import { tf } from "../engine/tf.ts";

/** The texts of a tensor of texts. A byte order mark stays, which tfjs's own reading drops. */
export function textsOf(x: tf.Tensor): string[] {
  const bytes = tf.engine().readSync(x.dataId) as unknown as readonly Uint8Array[];
  return bytes.map((text) => Buffer.from(text).toString());
}

/** The whole numbers or texts of a tensor; fractions are cut off. */
export function keysOf(x: tf.Tensor): readonly (string | number)[] {
  return x.dtype === "string" ? textsOf(x) : Array.from(x.dataSync(), Math.trunc);
}
