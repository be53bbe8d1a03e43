/**
 * @file Byte-pair encoding as in GPT-2 and RoBERTa (`keras_hub/src/tokenizers/byte_pair_tokenizer.py`), in the form that `fit` and
 * `predict` of KerasHub run: the one in TensorFlow.
 */
import type { JsonObject } from "../../checkpoint.ts";
import { DataError } from "../../errors.ts";
import { escaped, specialId, type Tokenizer, upToZero } from "./tokenizer.ts";

/** KerasHub marks places where words end by this digit, and takes the marks out again; one of a text itself is lost at the end of a word. */
const mark = "६";
/** Spaces besides ASCII's that KerasHub knows; others are part of words. */
const wide = String.raw`\u00a0\u2009\u202f\u3000`;
const space = String.raw`\t\n\f\r `;

const beforeWord = new RegExp(`( )([^${space}${wide}])`, "gu");
const afterText = new RegExp(`([${space}]\u00a0\u2009\u202f\u3000)$`, "u");
const words = new RegExp(
  `'s|'t|'re|'ve|'m|'ll|'d|[${space}${wide}]+[\\n\\r\\t\\f${mark}${wide}]| ?\\p{L}+| ?\\p{N}+| ?[^${space}\\p{L}\\p{N}${wide}]+`,
  "gu",
);
const lastSpace = new RegExp(`[ \\t\\r\\f\\v${mark}${wide}]$`, "gu");

/** Returns the tokenizer of these arguments. @throws {TopologyError} if the vocabulary lacks a special token. */
export function bytePairTokenizer(config: JsonObject): Tokenizer {
  const ids = new Map(Object.entries(config["vocabulary"] as Readonly<Record<string, number>>));
  const merges = config["merges"] as readonly string[];
  const ranks = new Map(merges.map((merge, rank) => [merge, rank]));
  const special = ["<s>", "</s>", "<pad>", "<mask>"];
  const whole = (config["unsplittable_tokens"] ?? special) as readonly string[];
  const known = new Map<string, readonly string[]>(whole.map((token) => [token, [token]]));
  const split = splitter(whole);
  const idOf = (token: string): number => {
    const id = ids.get(token);
    if (id !== undefined) return id;
    throw new DataError(
      `tokenizer: expected a vocabulary with every byte, got none with ${JSON.stringify(token)}. Save the model with its whole vocabulary.`,
      "vocabulary",
    );
  };
  const piecesOf = (word: string): readonly string[] => {
    const found =
      known.get(word) ??
      merged(
        Array.from(Buffer.from(word), (byte) => letters[byte] ?? ""),
        ranks,
      );
    if (known.size < cacheSize) known.set(word, found);
    return found;
  };
  const prefix = config["add_prefix_space"] === true ? " " : "";
  return {
    encode: (text) =>
      split(upToZero(prefix + text))
        .flatMap(piecesOf)
        .map(idOf),
    start: specialId(ids, "<s>"),
    end: specialId(ids, "</s>"),
    pad: specialId(ids, "<pad>"),
  };
}

/** The number of words whose pieces are remembered. */
const cacheSize = 100_000;

/** Returns what splits a text into words, each with the space before it, and tokens that stay whole. */
function splitter(whole: readonly string[]): (text: string) => readonly string[] {
  const stands = whole.map((token, index) => ({
    token,
    pattern: new RegExp(escaped(token), "gu"),
    // A word of letters in place of the token, which nothing splits.
    alternative: `Ĵ${Array.from(String(index), (digit) => String.fromCharCode(65 + Number(digit))).join("")}`,
  }));
  return (text) => {
    let parts = [text.replace(beforeWord, `${mark}$1$2`).replace(afterText, `$1${mark}`)];
    for (const { token, pattern, alternative } of stands) {
      parts = parts
        .flatMap((part) => splitAt(part, pattern))
        .map((part) => part.replaceAll(token, alternative));
    }
    parts = parts.flatMap((part) => splitAt(part, words)).flatMap((part) => splitAt(part, lastSpace));
    for (const { token, alternative } of stands) {
      parts = parts.map((part) => part.replaceAll(alternative, token));
    }
    return parts.filter((part) => part !== mark);
  };
}

/** Splits a text before and behind every match, which is kept. */
function splitAt(text: string, pattern: RegExp): string[] {
  const parts: string[] = [];
  let from = 0;
  for (const found of text.matchAll(pattern)) {
    parts.push(text.slice(from, found.index), found[0]);
    from = found.index + found[0].length;
  }
  parts.push(text.slice(from));
  return parts.filter((part) => part !== "");
}

/** Joins neighbors, the pair that was learned first before others, until no pair is known. */
function merged(given: readonly string[], ranks: ReadonlyMap<string, number>): readonly string[] {
  const pieces = [...given];
  while (pieces.length > 1) {
    let best = Number.POSITIVE_INFINITY;
    let at = -1;
    for (let index = 0; index + 1 < pieces.length; index++) {
      const rank = ranks.get(`${pieces[index]} ${pieces[index + 1]}`);
      if (rank !== undefined && rank < best) [best, at] = [rank, index];
    }
    if (at < 0) break;
    pieces.splice(at, 2, `${pieces[at]}${pieces[at + 1]}`);
  }
  return pieces;
}

/** The letter that stands for each byte: itself where it is visible, else one of those from U+0100 on. */
const letters: readonly string[] = letterOfBytes();

function letterOfBytes(): readonly string[] {
  const isVisible = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(isVisible(byte) ? byte : next++));
}
