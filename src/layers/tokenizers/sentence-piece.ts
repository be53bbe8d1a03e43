/**
 * @file SentencePiece's unigram model (`keras_hub/src/tokenizers/sentence_piece_tokenizer.py`, `unigram_model.cc` of
 * google/sentencepiece): of all ways to cut a text into pieces, the one whose scores have the largest sum.
 */
import type { JsonObject } from "../../checkpoint.ts";
import type { Piece } from "./sentence-piece-model.ts";
import { readSentencePiece } from "./sentence-piece-model.ts";
import { normalizerOf } from "./sentence-piece-normalizer.ts";
import { specialId, type Tokenizer } from "./tokenizer.ts";

/** Cost of a character that no piece has, beyond that of the rarest piece. */
const unknownPenalty = 10;
/** Start of the search for the largest score, which scores below zero never reach. */
const leastScore = 1.1754943508222875e-38;

/** Returns the tokenizer of these arguments. @throws {TopologyError} for a model that cannot be read. */
export function sentencePieceTokenizer(config: JsonObject, pad: string): Tokenizer {
  const model = readSentencePiece(String(config["proto"]));
  const normalize = normalizerOf(model);
  const ids = new Map(model.pieces.map(({ text }, id) => [text, id]));
  const unknown = model.pieces.findIndex(({ kind }) => kind === "unknown");
  const byteIds = new Map(
    model.pieces.flatMap(({ text, kind }, id) =>
      kind === "byte" ? [[Number.parseInt(text.slice(3, 5), 16), id] as const] : [],
    ),
  );
  const cut = cutter(model.pieces, unknown);
  return {
    encode: (text) => {
      const found: number[] = [];
      let wasUnknown = false;
      for (const { id, text: piece } of cut(normalize(text))) {
        const isUnknown = id === unknown;
        if (isUnknown && model.byteFallback) {
          for (const byte of Buffer.from(piece)) found.push(byteIds.get(byte) ?? unknown);
        } else if (!isUnknown || !wasUnknown) found.push(id);
        // Neighbors that are unknown are one unknown piece.
        wasUnknown = isUnknown;
      }
      return found;
    },
    start: specialId(ids, "[CLS]"),
    end: specialId(ids, "[SEP]"),
    pad: specialId(ids, pad),
  };
}

interface Cut {
  readonly id: number;
  readonly text: string;
}

/** Returns what cuts a normalized text into pieces. Scores are summed in float32, as SentencePiece does. */
function cutter(pieces: readonly Piece[], unknown: number): (text: string) => readonly Cut[] {
  const usable = new Map<string, { readonly id: number; readonly score: number }>();
  let [least, most, longest] = [Number.MAX_VALUE, leastScore, 1];
  for (const { score, kind } of pieces) {
    if (kind !== "normal") continue;
    least = Math.min(least, score);
    most = Math.max(most, score);
  }
  for (const [id, { text, score, kind }] of pieces.entries()) {
    if (kind !== "normal" && kind !== "user") continue;
    usable.set(text, { id, score: kind === "user" ? Buffer.byteLength(text) * most - 0.1 : score });
    longest = Math.max(longest, text.length);
  }
  const unknownScore = Math.fround(least - unknownPenalty);
  return (text) => {
    const scores = new Float32Array(text.length + 1);
    const starts = new Int32Array(text.length + 1).fill(-1);
    const ids = new Int32Array(text.length + 1);
    const offer = (from: number, to: number, id: number, score: number): void => {
      const sum = score + (scores[from] ?? 0);
      if (starts[to] !== -1 && sum <= (scores[to] ?? 0)) return;
      [scores[to], starts[to], ids[to]] = [sum, from, id];
    };
    for (let from = 0; from < text.length; ) {
      const width = (text.codePointAt(from) ?? 0) > 0xffff ? 2 : 1;
      let hasSingle = false;
      for (let to = from + 1; to <= Math.min(text.length, from + longest); to++) {
        const piece = usable.get(text.slice(from, to));
        if (!piece) continue;
        offer(from, to, piece.id, piece.score);
        hasSingle ||= to === from + width;
      }
      if (!hasSingle) offer(from, from + width, unknown, unknownScore);
      from += width;
    }
    const cuts: Cut[] = [];
    for (let to = text.length; to > 0; to = starts[to] ?? 0) {
      cuts.push({ id: ids[to] ?? unknown, text: text.slice(starts[to], to) });
    }
    return cuts.reverse();
  };
}
