/** @file Operations of oneDNN, which TensorFlow calls by names of its own and has on some processors only. */
import type { NativeBackend, OpAttribute } from "../native-engine.ts";
import { tf } from "../tf.ts";
import { attribute } from "./own-kernel.ts";

const found = new WeakMap<NativeBackend, Map<string, boolean>>();

/**
 * Returns true if this TensorFlow has an operation of oneDNN's, which is determined by running it once.
 * @param compute Runs the operation on a tensor of one value, which is 1 and has the shape `[1, 1, 1, 1]`.
 */
export function oneDnnHas(
  backend: NativeBackend,
  name: string,
  compute: (probe: tf.Tensor) => tf.Tensor,
): boolean {
  const known = found.get(backend) ?? new Map<string, boolean>();
  found.set(backend, known);
  const earlier = known.get(name);
  if (earlier !== undefined) return earlier;
  const has = tf.tidy(() => {
    try {
      return Number.isFinite(compute(tf.ones([1, 1, 1, 1])).dataSync()[0]);
    } catch {
      return false;
    }
  });
  known.set(name, has);
  return has;
}

/** Returns the attribute by which TensorFlow finds the kernels of oneDNN that it registers under `MklNameChangeOp`. */
export function labelled(backend: NativeBackend): OpAttribute {
  return attribute.text(backend, "_kernel", "MklNameChangeOp");
}

/** Returns the attribute by which TensorFlow finds the kernels of oneDNN that it registers without a label. */
export function unlabelled(backend: NativeBackend): OpAttribute {
  return attribute.text(backend, "_kernel", "");
}
