/** @file Normalization of texts before SentencePiece cuts them into pieces (`normalizer.cc` of google/sentencepiece). */
import type { SentencePieceModel } from "./sentence-piece-model.ts";

/** The character that stands for a space. */
export const spaceSign = "▁";

/** Returns what normalizes texts as the model says. */
export function normalizerOf(model: SentencePieceModel): (text: string) => string {
  const rules = rulesOf(model.rules);
  const whole = model.pieces.filter(({ kind }) => kind === "user").map(({ text }) => Buffer.from(text));
  const next = (bytes: Buffer, from: number): { readonly text: string; readonly to: number } => {
    const own = whole.reduce((most, piece) => {
      const isHere = piece.length > most && bytes.subarray(from, from + piece.length).equals(piece);
      return isHere ? piece.length : most;
    }, 0);
    const rule = own === 0 ? rules?.(bytes, from) : undefined;
    if (rule) return { text: rule.text, to: from + rule.length };
    const to = from + (own || characterLength(bytes[from] ?? 0));
    return { text: bytes.toString("utf8", from, to), to };
  };
  const sign = model.escapesSpaces ? spaceSign : " ";
  return (text) => {
    const bytes = Buffer.from(text);
    let at = 0;
    while (model.removesSpaces && at < bytes.length) {
      const { text: first, to } = next(bytes, at);
      if (first !== " ") break;
      at = to;
    }
    if (at === bytes.length) return "";
    const addsSign = model.addsPrefix && !model.spaceIsSuffix;
    const parts = addsSign ? [sign] : [];
    let isBehindSpace = model.removesSpaces;
    while (at < bytes.length) {
      const { text: given, to } = next(bytes, at);
      const part = isBehindSpace ? given.replace(/^ +/, "") : given;
      if (part !== "") {
        parts.push(part.replaceAll(" ", sign));
        isBehindSpace = part.endsWith(" ");
      }
      if (!model.removesSpaces) isBehindSpace = false;
      at = to;
    }
    let normalized = parts.join("");
    while (model.removesSpaces && normalized.endsWith(sign)) normalized = normalized.slice(0, -sign.length);
    return model.addsPrefix && model.spaceIsSuffix ? normalized + sign : normalized;
  };
}

/** Returns the number of bytes of a character of UTF-8 by its first. */
function characterLength(first: number): number {
  return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/** A rule that applies at a place: what it writes, and how many bytes it replaces. */
interface Rule {
  readonly text: string;
  readonly length: number;
}

/**
 * Returns what finds the longest rule at a place, undefined for a model without rules. They are a trie as a double array
 * (Darts-clone), preceded by its size, and behind it their texts, each ended by a zero.
 */
function rulesOf(rules: Uint8Array): ((bytes: Uint8Array, from: number) => Rule | undefined) | undefined {
  if (rules.length < 4) return undefined;
  const view = new DataView(rules.buffer, rules.byteOffset, rules.byteLength);
  const size = view.getUint32(0, true);
  const units = Uint32Array.from({ length: size / 4 }, (_, index) => view.getUint32(4 + 4 * index, true));
  const texts = Buffer.from(rules.subarray(4 + size));
  const unitAt = (index: number): number => units[index] ?? 0;
  const offset = (unit: number): number => (unit >>> 10) << ((unit & 0x200) >>> 6);
  return (bytes, from) => {
    let found: { value: number; length: number } | undefined;
    let node = offset(unitAt(0));
    for (let at = from; at < bytes.length; at++) {
      const byte = bytes[at] ?? 0;
      node ^= byte;
      const unit = unitAt(node);
      if ((unit & 0x800000ff) !== byte) break;
      node ^= offset(unit);
      if (unit & 0x100) found = { value: unitAt(node) & 0x7fffffff, length: at + 1 - from };
    }
    if (!found) return undefined;
    return { text: texts.toString("utf8", found.value, texts.indexOf(0, found.value)), length: found.length };
  };
}
