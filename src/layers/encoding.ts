/** Layers that make whole numbers of numbers, and rows of zeros and ones of those (`keras/src/layers/preprocessing`). */
import type { JsonObject } from "../checkpoint.ts";
import { tf } from "../engine/tf.ts";
import { outputMode, vocabularyOf } from "../topology/specs/encoding.ts";
import { numberIn, numberList, unsupported } from "./config.ts";
import { bucketOf, crossedFingerprint, fingerprint, type Salt } from "./fingerprint.ts";
import type { Kernel, KernelArgument, KernelCall } from "./kernel.ts";

export const encodingKernels: Readonly<Record<string, Kernel>> = {
  CategoryEncoding: (call) =>
    encoded(call.inputs[0]!, call.config, numberIn(call.config, "num_tokens"), call.kwargs["count_weights"]),
  Discretization: ({ inputs, config }) => {
    const boundaries = numberList(config["bin_boundaries"]);
    return encoded(binned(inputs[0]!, boundaries), config, boundaries.length + 1);
  },
  Hashing: hashing,
  HashedCrossing: hashedCrossing,
  IntegerLookup: integerLookup,
};

/** How many boundaries are not above each value. */
export function binned(x: tf.Tensor, boundaries: readonly number[]): tf.Tensor {
  const above = tf.greaterEqual(tf.expandDims(tf.cast(x, "float32"), -1), tf.tensor1d([...boundaries]));
  return tf.sum(tf.cast(above, "int32"), -1);
}

/** Whole numbers as they are, or as rows of `depth`. What is not below it counts nowhere. */
function encoded(indices: tf.Tensor, config: JsonObject, depth: number, weights?: KernelArgument): tf.Tensor {
  const whole = tf.cast(indices, "int32");
  const mode = outputMode(config);
  if (mode === "int") return whole;
  const shrunk = mode === "one_hot" && whole.rank > 1 && whole.shape.at(-1) === 1;
  const places = shrunk ? tf.squeeze(whole, [-1]) : whole;
  const hot = tf.cast(tf.equal(tf.expandDims(places, -1), tf.range(0, depth, 1, "int32")), "float32");
  if (mode === "one_hot") return hot;
  const axis = Math.min(1, whole.rank - 1);
  if (mode === "multi_hot") return tf.max(hot, axis);
  return tf.sum(weights instanceof tf.Tensor ? tf.mul(hot, tf.expandDims(weights, -1)) : hot, axis);
}

/** Value by value, outside the tape: no gradient flows through whole numbers. */
function eachInteger(x: tf.Tensor, compute: (value: number, index: number) => number): tf.Tensor {
  const values = x.dataSync();
  return tf.tensor(
    Int32Array.from(values, (value, index) => compute(Math.trunc(value), index)),
    x.shape,
    "int32",
  );
}

/** Bin 0 is kept for the mask value where there is one. */
function hashing({ inputs, config }: KernelCall): tf.Tensor {
  const bins = numberIn(config, "num_bins");
  const mask = config["mask_value"];
  const first = typeof mask === "number" && bins > 1 ? 1 : 0;
  const salt = saltOf(config);
  const indices = eachInteger(inputs[0]!, (value) =>
    first === 1 && value === mask ? 0 : first + bucketOf(fingerprint(String(value), salt), bins - first),
  );
  return encoded(indices, config, bins);
}

function saltOf(config: JsonObject): Salt | undefined {
  const given = numberList(config["salt"]);
  return given.length === 0 ? undefined : [given[0]!, given[1] ?? given[0]!];
}

function hashedCrossing({ inputs, config }: KernelCall): tf.Tensor {
  const bins = numberIn(config, "num_bins");
  const columns = inputs.map((input) => input.dataSync());
  const crossed = eachInteger(inputs[0]!, (_, index) =>
    bucketOf(crossedFingerprint(columns.map((column) => column[index]!)), bins),
  );
  return encoded(crossed, config, bins);
}

function integerLookup({ inputs, config }: KernelCall): tf.Tensor {
  const { tokens, masked, unknowns } = vocabularyOf(config);
  const start = (masked ? 1 : 0) + unknowns;
  const maskToken = config["mask_token"];
  if (config["invert"] === true) {
    return eachInteger(inputs[0]!, (index) =>
      masked && index === 0 ? Number(maskToken) : (tokens[index - start] ?? numberIn(config, "oov_token")),
    );
  }
  const places = new Map(tokens.map((token, index) => [token, start + index]));
  const depth = config["pad_to_max_tokens"] === true ? numberIn(config, "max_tokens") : start + tokens.length;
  const hash = config["oov_method"] === "farmhash" ? saltOf(config) : undefined;
  const indices = eachInteger(inputs[0]!, (value) => {
    // Masks of other modes than "int" are out of range, so that they count nowhere.
    if (value === maskToken) return masked ? 0 : depth;
    return places.get(value) ?? (masked ? 1 : 0) + unknownBucket(value, unknowns, config, hash);
  });
  return encoded(indices, config, depth);
}

/** @throws {TopologyError} where the layer has no place for unknown tokens, as Keras does. */
function unknownBucket(value: number, unknowns: number, config: JsonObject, salt: Salt | undefined): number {
  if (unknowns === 0) throw unsupported(config, `${value}, which is not in the vocabulary,`, "Leave it out.");
  if (unknowns === 1) return 0;
  if (config["oov_method"] === "farmhash") return bucketOf(fingerprint(String(value), salt), unknowns);
  return ((value % unknowns) + unknowns) % unknowns;
}
