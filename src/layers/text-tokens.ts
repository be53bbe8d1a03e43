import { tf } from "../engine/tf.ts";
import { numberAt } from "../topology/config-values.ts";
import { textsOf } from "./encoding.ts";
import type { Kernel, KernelCall } from "./kernel.ts";
import { firstInput } from "./kernel.ts";
import { tokenizerEntry, tokenizerOf } from "./tokenizers/known-tokenizers.ts";
import type { Tokenizer } from "./tokenizers/tokenizer.ts";

export const textTokensKernels: Readonly<Record<string, Kernel>> = { TextTokens: textTokens };

/** The ids of the texts in a tensor, which several layers ask for. */
const known = new WeakMap<object, Int32Array>();

/**
 * Returns one part of what KerasHub's preprocessor makes of texts, `[N, sequence_length]`: ids between those of a start and an end,
 * filled up; what is too long loses its end.
 */
function textTokens({ inputs, config }: KernelCall): tf.Tensor {
  const texts = firstInput(inputs);
  const length = numberAt(config, "sequence_length");
  const entry = tokenizerEntry(config);
  if (!entry) throw new Error("TextTokens: expected a tokenizer");
  const tokenizer = tokenizerOf(entry);
  const shape: [number, number] = [texts.shape[0] ?? 0, length];
  if (config["part"] === "segment_ids") return tf.zeros(shape, "int32");
  const ids = known.get(texts.dataId) ?? packed(textsOf(texts), tokenizer, length);
  known.set(texts.dataId, ids);
  const { pad } = tokenizer;
  const values = config["part"] === "token_ids" ? ids : ids.map((id) => (id === pad ? 0 : 1));
  return tf.tensor2d(values.slice(), shape, "int32");
}

function packed(
  texts: readonly string[],
  { encode, start, end, pad }: Tokenizer,
  length: number,
): Int32Array {
  const ids = new Int32Array(texts.length * length).fill(pad);
  for (const [row, text] of texts.entries()) {
    ids.set([start, ...encode(text).slice(0, Math.max(0, length - 2)), end].slice(0, length), row * length);
  }
  return ids;
}
