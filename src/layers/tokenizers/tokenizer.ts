import { TopologyError } from "../../errors.ts";

/** A tokenizer of KerasHub. */
export interface Tokenizer {
  /** Returns the ids of a text's tokens, without special ones around them. */
  encode(text: string): readonly number[];
  /** Ids of the tokens that begin, end and fill up a text. */
  readonly start: number;
  readonly end: number;
  readonly pad: number;
}

/** Returns the id of a token that the tokenizer cannot do without. @throws {TopologyError} if the vocabulary lacks it. */
export function specialId(ids: ReadonlyMap<string, number>, token: string): number {
  const id = ids.get(token);
  if (id !== undefined) return id;
  throw new TopologyError(
    `tokenizer: vocabulary: expected the special token ${token}, got none of that name among ${ids.size}.`,
    "vocabulary",
  );
}

/** Returns a text in which no character has a meaning in a regular expression. */
export function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

/** Returns the part of a text that TensorFlow's `regex_split` sees, which takes a zero character for the text's end. */
export function upToZero(text: string): string {
  const end = text.indexOf("\0");
  return end < 0 ? text : text.slice(0, end);
}
