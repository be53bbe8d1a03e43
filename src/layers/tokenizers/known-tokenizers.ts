import type { JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import { isObject } from "../../topology/config-values.ts";
import { bytePairTokenizer } from "./byte-pair.ts";
import { sentencePieceTokenizer } from "./sentence-piece.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { wordPieceTokenizer } from "./word-piece.ts";

/** A tokenizer's class and arguments, with its vocabulary among them. */
export interface TokenizerEntry {
  readonly className: string;
  readonly config: JsonObject;
}

const makers: Readonly<Record<string, (config: JsonObject) => Tokenizer>> = {
  AlbertTokenizer: (config) => sentencePieceTokenizer(config, "<pad>"),
  BertTokenizer: wordPieceTokenizer,
  DebertaV3Tokenizer: (config) => sentencePieceTokenizer(config, "[PAD]"),
  DistilBertTokenizer: wordPieceTokenizer,
  ElectraTokenizer: wordPieceTokenizer,
  RobertaTokenizer: bytePairTokenizer,
};

const made = new WeakMap<JsonObject, Tokenizer>();

/** Returns the tokenizer of an entry, made once. @throws {TopologyError} for a class that is not known, or a vocabulary that lacks a special token. */
export function tokenizerOf({ className, config }: TokenizerEntry): Tokenizer {
  const known = made.get(config);
  if (known) return known;
  const make = makers[className];
  if (!make) {
    throw new TopologyError(
      `tokenizer: expected one of ${Object.keys(makers).join(", ")}, got ${className}. Pass token ids as arrays.`,
      "unknown-tokenizer",
    );
  }
  const tokenizer = make(config);
  made.set(config, tokenizer);
  return tokenizer;
}

/** Returns the tokenizer's entry in the arguments of a preprocessor, undefined if it has none. */
export function tokenizerEntry(preprocessor: JsonObject): TokenizerEntry | undefined {
  const entry = preprocessor["tokenizer"] ?? null;
  if (!isObject(entry) || !isObject(entry["config"] ?? null)) return undefined;
  return { className: String(entry["class_name"]), config: entry["config"] as JsonObject };
}
