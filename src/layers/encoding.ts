/** Layers that make whole numbers of numbers or texts, and rows of zeros and ones of those (`keras/src/layers/preprocessing`). */
import { tf } from "../engine/tf.ts";
import { numberAt, numberList } from "../topology/config-values.ts";
import { encoded, indicesLike } from "./encoded-indices.ts";
import type { Kernel, KernelCall } from "./kernel.ts";
import { lookup } from "./lookups.ts";
import { bucketOf, crossedFingerprint, fingerprint, saltOf } from "./numerics/fingerprint.ts";
import { textVectorization } from "./text-vectorization.ts";
import { keysOf } from "./texts.ts";

export const encodingKernels: Readonly<Record<string, Kernel>> = {
  CategoryEncoding: (call) =>
    encoded(call.inputs[0]!, call.config, numberAt(call.config, "num_tokens"), call.kwargs["count_weights"]),
  Discretization: ({ inputs, config }) => {
    const boundaries = numberList(config["bin_boundaries"]);
    return encoded(binned(inputs[0]!, boundaries), config, boundaries.length + 1);
  },
  Hashing: hashing,
  HashedCrossing: hashedCrossing,
  IntegerLookup: lookup,
  StringLookup: lookup,
  TextVectorization: textVectorization,
};

/** How many boundaries are not above each value. */
export function binned(x: tf.Tensor, boundaries: readonly number[]): tf.Tensor {
  const above = tf.greaterEqual(tf.expandDims(tf.cast(x, "float32"), -1), tf.tensor1d([...boundaries]));
  return tf.sum(tf.cast(above, "int32"), -1);
}

/** Bin 0 is kept for the mask value where there is one. */
function hashing({ inputs, config }: KernelCall): tf.Tensor {
  const [x] = inputs;
  const bins = numberAt(config, "num_bins");
  const mask = config["mask_value"];
  const first = mask !== null && bins > 1 ? 1 : 0;
  const salt = saltOf(config);
  const indices = keysOf(x!).map((key) =>
    first === 1 && key === mask ? 0 : first + bucketOf(fingerprint(String(key), salt), bins - first),
  );
  return encoded(indicesLike(x!, indices), config, bins);
}

function hashedCrossing({ inputs, config }: KernelCall): tf.Tensor {
  const bins = numberAt(config, "num_bins");
  const columns = inputs.map(keysOf);
  const crossed = columns[0]!.map((_, index) =>
    bucketOf(crossedFingerprint(columns.map((column) => column[index]!)), bins),
  );
  return encoded(indicesLike(inputs[0]!, crossed), config, bins);
}
