/**
 * @file WordPiece as in BERT (`keras_hub/src/tokenizers/word_piece_tokenizer.py`), in the form that `fit` and `predict` of KerasHub run:
 * the one in TensorFlow.
 */
import type { Json, JsonObject } from "../../checkpoint.ts";
import { escaped, specialId, type Tokenizer, upToZero } from "./tokenizer.ts";

/** Characters of which each is a word of its own. ASCII that is neither letter nor digit counts as punctuation. */
const punctuation = String.raw`[!-\/:-@\[-\x60{-~\p{P}]`;
const ideographs = String.raw`[\u4E00-\u9FFF\u3400-\u4DBF\u{20000}-\u{2A6DF}\u{2A700}-\u{2B73F}\u{2B740}-\u{2B81F}\u{2B820}-\u{2CEAF}\uF900-\uFAFF\u{2F800}-\u{2FA1F}]`;
/** Characters between words. Only ASCII's spaces count, as in RE2: an ideographic space is part of a word. */
const spaces = String.raw`[ \t\n\r\f\p{Cc}\p{Cf}]`;

/** The longest word that is looked up, in bytes of UTF-8; a longer one is unknown. */
const longestWord = 100;

/** Returns the tokenizer of these arguments. @throws {TopologyError} if the vocabulary lacks a special token. */
export function wordPieceTokenizer(config: JsonObject): Tokenizer {
  const vocabulary = config["vocabulary"] as readonly string[];
  // Of a token that stands twice, the last place counts.
  const ids = new Map(vocabulary.map((token, id) => [token, id]));
  const suffix = textAt(config, "suffix_indicator", "##");
  const unknown = specialId(ids, textAt(config, "oov_token", "[UNK]"));
  const split = splitter(config);
  const longest = vocabulary.reduce((most, token) => Math.max(most, token.length), 0);
  const pieces = (word: string): readonly number[] => {
    if (Buffer.byteLength(word) > longestWord) return [unknown];
    const found: number[] = [];
    for (let from = 0; from < word.length; ) {
      const prefix = from === 0 ? "" : suffix;
      let to = Math.min(word.length, from + longest);
      let id: number | undefined;
      for (; to > from; to--) {
        id = ids.get(prefix + word.slice(from, to));
        if (id !== undefined) break;
      }
      if (id === undefined) return [unknown];
      found.push(id);
      from = to;
    }
    return found;
  };
  return {
    encode: (text) => split(text).flatMap(pieces),
    start: specialId(ids, "[CLS]"),
    end: specialId(ids, "[SEP]"),
    pad: specialId(ids, "[PAD]"),
  };
}

/** Returns what splits a text into words. */
function splitter(config: JsonObject): (text: string) => readonly string[] {
  const own = (config["special_tokens"] ?? []) as readonly string[];
  const inText = config["special_tokens_in_strings"] === true && config["split"] !== false;
  const special = inText ? [...new Set(["[CLS]", "[SEP]", "[PAD]", "[MASK]", ...own])] : [];
  const kept = [...special.map(escaped), punctuation, ideographs].join("|");
  const boundary = new RegExp(`(${kept})|${spaces}`, "gu");
  const isSpecial = new RegExp(`^(?:${special.map(escaped).join("|")})$`, "u");
  const lower = (word: string): string =>
    special.length > 0 && isSpecial.test(word) ? word : caseFolded(word);
  return (given) => {
    const text = config["strip_accents"] === true ? given.normalize("NFD").replace(/\p{Mn}/gu, "") : given;
    const words = config["split"] === false ? [text] : wordsOf(upToZero(text), boundary);
    return config["lowercase"] === true ? words.map(lower) : words;
  };
}

function wordsOf(text: string, boundary: RegExp): readonly string[] {
  const words: string[] = [];
  let from = 0;
  for (const found of text.matchAll(boundary)) {
    words.push(text.slice(from, found.index));
    if (found[1] !== undefined) words.push(found[1]);
    from = found.index + found[0].length;
  }
  words.push(text.slice(from));
  return words.filter((word) => word !== "");
}

function textAt(config: JsonObject, name: string, otherwise: string): string {
  const value: Json | undefined = config[name];
  return typeof value === "string" ? value : otherwise;
}

/** Characters whose folded form is not that of their capital in lower case. */
const others: ReadonlyMap<string, string> = new Map([
  ["ı", "ı"],
  ["ẞ", "ss"],
]);

/**
 * Returns a text in Unicode's form NFKC_Casefold, in which texts that differ in case alone are equal, as `tf_text.case_fold_utf8` does:
 * `Straße` becomes `strasse`. Code points that are ignored by default are left out.
 */
export function caseFolded(text: string): string {
  const folded = Array.from(text.normalize("NFKC"), foldedCharacter).join("");
  return folded.normalize("NFKC").replace(/\p{Default_Ignorable_Code_Point}/gu, "");
}

function foldedCharacter(character: string): string {
  // Cherokee is folded to its capitals, which Unicode had first.
  if (/\p{Script=Cherokee}/u.test(character)) return character.toUpperCase();
  return others.get(character) ?? Array.from(character.toUpperCase(), (each) => each.toLowerCase()).join("");
}
