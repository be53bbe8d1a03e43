/** Lookups of whole numbers and of texts (`keras/src/layers/preprocessing/index_lookup.py`). */
import { tf } from "../engine/tf.ts";
import { outputMode } from "../topology/specs/encoded-indices.ts";
import { encoded, indicesLike } from "./encoded-indices.ts";
import type { KernelCall } from "./kernel.ts";
import { lookupTable } from "./lookup-table.ts";
import { keysOf } from "./texts.ts";

/** Indices of tokens, rows that count them, or, inverted, tokens of indices. */
export function lookup({ inputs, config }: KernelCall): tf.Tensor {
  const [x] = inputs;
  const { indexOf, tokenAt, depth, idfWeights } = lookupTable(config);
  const keys = keysOf(x!);
  if (config["invert"] === true) {
    const tokens = keys.map((index) => tokenAt(Number(index)));
    return typeof tokens[0] === "string"
      ? tf.tensor(tokens as string[], x!.shape, "string")
      : indicesLike(x!, tokens as number[]);
  }
  const found = encoded(indicesLike(x!, keys.map(indexOf)), config, depth);
  return outputMode(config) === "tf_idf" ? tf.mul(found, tf.tensor1d(idfWeights)) : found;
}
