/** Texts as rows of tokens, and those as indices or counts (`keras/src/layers/preprocessing/text_vectorization.py`). */
import type { JsonObject } from "../checkpoint.ts";
import { tf } from "../engine/tf.ts";
import { outputMode } from "../topology/specs/encoded-indices.ts";
import { ngramWidths } from "../topology/specs/lookups.ts";
import type { KernelCall } from "./kernel.ts";
import { type LookupTable, lookupTable } from "./lookup-table.ts";
import { textsOf } from "./texts.ts";

export function textVectorization({ inputs, config }: KernelCall): tf.Tensor {
  const [x] = inputs;
  const widths = ngramWidths(config);
  const rows = tokenRows(x!, config).map((tokens) =>
    widths ? widths.flatMap((width) => ngrams(tokens, width)) : tokens,
  );
  const table = lookupTable(config);
  const indices = rows.map((tokens) => tokens.map(table.indexOf));
  return outputMode(config) === "int" ? padded(indices, config) : counted(indices, config, table);
}

/** The tokens of each text; where nothing splits them, a row of the input is the tokens of one. */
function tokenRows(x: tf.Tensor, config: JsonObject): readonly string[][] {
  const texts = textsOf(x).map((text) => standardized(text, config["standardize"]));
  if (config["split"] === "character") return texts.map((text) => [...text]);
  if (config["split"] === "whitespace") return texts.map((text) => text.split(/[ \t-\r]+/).filter(Boolean));
  const width = x.shape.at(-1)!;
  return Array.from({ length: x.shape[0]! }, (_, row) => texts.slice(row * width, (row + 1) * width));
}

/** Only the letters of ASCII have a lower case here, as in `tf.strings.lower`. */
function standardized(text: string, how: JsonObject[string] | undefined): string {
  const kind = String(how);
  const lower = kind.startsWith("lower") ? text.replace(/[A-Z]+/g, (run) => run.toLowerCase()) : text;
  return kind.endsWith("strip_punctuation") ? lower.replace(/[!-/:-@[-`{-~]/g, "") : lower;
}

function ngrams(tokens: readonly string[], width: number): string[] {
  const count = Math.max(0, tokens.length - width + 1);
  return Array.from({ length: count }, (_, start) => tokens.slice(start, start + width).join(" "));
}

/** Index 0, the mask's, behind the last token of a text; without a length all are as long as the longest. */
function padded(indices: readonly number[][], config: JsonObject): tf.Tensor {
  const longest = indices.reduce((most, { length }) => Math.max(most, length), 0);
  const length = (config["output_sequence_length"] as number | null) ?? longest;
  const values = new Int32Array(indices.length * length);
  indices.forEach((row, index) => {
    values.set(row.slice(0, length), index * length);
  });
  return tf.tensor(values, [indices.length, length], "int32");
}

function counted(
  indices: readonly number[][],
  config: JsonObject,
  { depth, idfWeights }: LookupTable,
): tf.Tensor {
  const mode = outputMode(config);
  const values = new Float32Array(indices.length * depth);
  indices.forEach((row, index) => {
    for (const place of row) if (place < depth) values[index * depth + place]! += 1;
  });
  const counts = tf.tensor(values, [indices.length, depth]);
  if (mode === "multi_hot") return tf.minimum(counts, 1);
  return mode === "tf_idf" ? tf.mul(counts, tf.tensor1d(idfWeights)) : counts;
}
