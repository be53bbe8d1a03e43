/** @file The model file of SentencePiece, a protobuf message (`sentencepiece_model.proto` of google/sentencepiece). */
import { TopologyError } from "../../errors.ts";
import { readFields } from "../../protobuf/reader.ts";

export type PieceKind = "normal" | "unknown" | "control" | "user" | "unused" | "byte";

export interface Piece {
  readonly text: string;
  readonly score: number;
  readonly kind: PieceKind;
}

export interface SentencePieceModel {
  readonly pieces: readonly Piece[];
  readonly byteFallback: boolean;
  readonly spaceIsSuffix: boolean;
  /** Rules of normalization; empty for none. */
  readonly rules: Uint8Array;
  readonly addsPrefix: boolean;
  readonly removesSpaces: boolean;
  readonly escapesSpaces: boolean;
}

const kinds: readonly PieceKind[] = ["normal", "unknown", "control", "user", "unused", "byte"];
const algorithms = ["unigram", "BPE", "word", "char"];

/** Reads a model in base64. @throws {TopologyError} for bytes that are none, or one of another algorithm than unigram. */
export function readSentencePiece(base64: string): SentencePieceModel {
  const pieces: Piece[] = [];
  const settings = { byteFallback: false, spaceIsSuffix: false };
  const normalizer = { rules: new Uint8Array(), addsPrefix: true, removesSpaces: true, escapesSpaces: true };
  let algorithm = 1;
  try {
    readFields(Buffer.from(base64, "base64"), (field, reader) => {
      if (field === 1) pieces.push(pieceIn(reader.bytes()));
      else if (field === 2) {
        readFields(reader.bytes(), (inner, own) => {
          if (inner === 3) algorithm = own.int32();
          else if (inner === 24) settings.spaceIsSuffix = own.bool();
          else if (inner === 35) settings.byteFallback = own.bool();
          else return false;
          return true;
        });
      } else if (field === 3) {
        readFields(reader.bytes(), (inner, own) => {
          if (inner === 2) normalizer.rules = Uint8Array.from(own.bytes());
          else if (inner === 3) normalizer.addsPrefix = own.bool();
          else if (inner === 4) normalizer.removesSpaces = own.bool();
          else if (inner === 5) normalizer.escapesSpaces = own.bool();
          else return false;
          return true;
        });
      } else return false;
      return true;
    });
  } catch (error) {
    throw new TopologyError(
      `tokenizer: vocabulary: expected a model of SentencePiece, got other bytes (${(error as Error).message}). Download the preset again.`,
      "vocabulary",
    );
  }
  if (algorithm !== 1) {
    throw new TopologyError(
      `tokenizer: expected a unigram model of SentencePiece, got one of ${algorithms[algorithm - 1] ?? algorithm}. Pass token ids as arrays.`,
      "unknown-tokenizer",
    );
  }
  return { pieces, ...settings, ...normalizer };
}

function pieceIn(bytes: Uint8Array): Piece {
  let [text, score, kind] = ["", 0, 1];
  readFields(bytes, (field, reader) => {
    if (field === 1) text = reader.string();
    else if (field === 2) score = reader.float();
    else if (field === 3) kind = reader.int32();
    else return false;
    return true;
  });
  return { text, score, kind: kinds[kind - 1] ?? "normal" };
}
