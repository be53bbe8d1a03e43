/**
 * @file Layers that turn numbers, categories and texts into whole numbers, or into rows that count these
 * (`keras/src/layers/preprocessing`).
 */
import type { JsonObject } from "../checkpoint.ts";
import { tf } from "../engine/tf.ts";
import { numberAt, numberList } from "../topology/config-values.ts";
import { outputMode } from "../topology/specs/encoded-indices.ts";
import {
  idfWeightsOf,
  lookupDepth,
  ngramWidths,
  type Token,
  vocabularyOf,
} from "../topology/specs/lookups.ts";
import type { Kernel, KernelArgument, KernelCall } from "./kernel.ts";
import { unsupported } from "./kernel.ts";
import { bucketOf, crossedFingerprint, fingerprint, type Salt } from "./numerics/fingerprint.ts";

export const encodingKernels: Readonly<Record<string, Kernel>> = {
  CategoryEncoding: (call) =>
    encoded(inputOf(call), call.config, numberAt(call.config, "num_tokens"), call.kwargs["count_weights"]),
  Discretization: (call) => {
    const boundaries = numberList(call.config["bin_boundaries"]);
    return encoded(binned(inputOf(call), boundaries), call.config, boundaries.length + 1);
  },
  Hashing: hashing,
  HashedCrossing: hashedCrossing,
  IntegerLookup: lookup,
  StringLookup: lookup,
  TextVectorization: textVectorization,
};

/** Returns the index of the bin of each value: the number of `boundaries` that are not above it. */
export function binned(x: tf.Tensor, boundaries: readonly number[]): tf.Tensor {
  const above = tf.greaterEqual(tf.expandDims(tf.cast(x, "float32"), -1), tf.tensor1d([...boundaries]));
  return tf.sum(tf.cast(above, "int32"), -1);
}

/** Hashes each key to a bin. If the layer has a mask value, bin 0 is reserved for it. */
function hashing(call: KernelCall): tf.Tensor {
  const { config } = call;
  const x = inputOf(call);
  const bins = numberAt(config, "num_bins");
  const mask = config["mask_value"];
  const first = mask !== null && bins > 1 ? 1 : 0;
  const salt = saltOf(config);
  const indices = keysOf(x).map((key) =>
    first === 1 && key === mask ? 0 : first + bucketOf(fingerprint(String(key), salt), bins - first),
  );
  return encoded(indicesLike(x, indices), config, bins);
}

/** Hashes the keys at one position of all inputs, taken together, to a bin. */
function hashedCrossing(call: KernelCall): tf.Tensor {
  const bins = numberAt(call.config, "num_bins");
  const columns = call.inputs.map(keysOf);
  const crossed = keysOf(inputOf(call)).map((_, index) =>
    bucketOf(crossedFingerprint(columns.flatMap((column) => column.slice(index, index + 1))), bins),
  );
  return encoded(indicesLike(inputOf(call), crossed), call.config, bins);
}

/** Returns the indices of tokens, rows that count them, or, if the layer is inverted, the tokens of indices. */
function lookup(call: KernelCall): tf.Tensor {
  const { config } = call;
  const x = inputOf(call);
  const { indexOf, tokenAt, depth, idfWeights } = lookupTable(config);
  const keys = keysOf(x);
  if (config["invert"] === true) {
    const tokens = keys.map((index) => tokenAt(Number(index)));
    return typeof tokens[0] === "string"
      ? tf.tensor(tokens as string[], x.shape, "string")
      : indicesLike(x, tokens as number[]);
  }
  const found = encoded(indicesLike(x, keys.map(indexOf)), config, depth);
  return outputMode(config) === "tf_idf" ? tf.mul(found, tf.tensor1d(idfWeights)) : found;
}

/** Splits texts into tokens and returns their indices, or rows that count them. */
function textVectorization(call: KernelCall): tf.Tensor {
  const { config } = call;
  const widths = ngramWidths(config);
  const rows = tokenRows(inputOf(call), config).map((tokens) =>
    widths ? widths.flatMap((width) => ngrams(tokens, width)) : tokens,
  );
  const table = lookupTable(config);
  const indices = rows.map((tokens) => tokens.map(table.indexOf));
  return outputMode(config) === "int" ? padded(indices, config) : counted(indices, config, table);
}

function inputOf({ inputs: [x] }: KernelCall): tf.Tensor {
  if (!x) throw new Error("a preprocessing layer is called without an input");
  return x;
}

/** Reads a tensor of texts. A byte order mark is kept, which tfjs's own reading drops. */
export function textsOf(x: tf.Tensor): string[] {
  const bytes = tf.engine().readSync(x.dataId) as unknown as readonly Uint8Array[];
  return bytes.map((text) => Buffer.from(text).toString());
}

/** Reads a tensor of texts, or of whole numbers: fractions are cut off. */
function keysOf(x: tf.Tensor): readonly (string | number)[] {
  return x.dtype === "string" ? textsOf(x) : Array.from(x.dataSync(), Math.trunc);
}

/** Makes an int32 tensor of the shape of `x`. It is outside the tape: no gradient flows through it. */
function indicesLike(x: tf.Tensor, indices: readonly number[]): tf.Tensor {
  return tf.tensor(Int32Array.from(indices), x.shape, "int32");
}

/**
 * Encodes indices by the layer's `output_mode`: unchanged, or as rows of `depth` numbers (`keras/src/utils/numerical_utils.py`). An
 * index of `depth` or more counts nowhere.
 */
function encoded(indices: tf.Tensor, config: JsonObject, depth: number, weights?: KernelArgument): tf.Tensor {
  const whole = tf.cast(indices, "int32");
  const mode = outputMode(config);
  if (mode === "int") return whole;
  const shrunk = mode === "one_hot" && whole.rank > 1 && whole.shape.at(-1) === 1;
  const places = shrunk ? tf.squeeze(whole, [-1]) : whole;
  const hot = tf.cast(tf.equal(tf.expandDims(places, -1), tf.range(0, depth, 1, "int32")), "float32");
  if (mode === "one_hot") return hot;
  const axis = Math.min(1, whole.rank - 1);
  if (mode === "multi_hot") return tf.max(hot, axis);
  return tf.sum(weights instanceof tf.Tensor ? tf.mul(hot, tf.expandDims(weights, -1)) : hot, axis);
}

/** A lookup layer's vocabulary as a table (`keras/src/layers/preprocessing/index_lookup.py`). */
interface LookupTable {
  /** @throws {TopologyError} for a token outside the vocabulary of a layer without an index for such tokens. */
  readonly indexOf: (token: Token) => number;
  readonly tokenAt: (index: number) => Token;
  /** The width of a row that counts tokens. Masked tokens get this index, so that they count nowhere. */
  readonly depth: number;
  /** One for each index below `depth`; empty if the layer has none. */
  readonly idfWeights: number[];
}

const tables = new WeakMap<JsonObject, LookupTable>();

/** Returns the table of a layer's config, which is made once. */
function lookupTable(config: JsonObject): LookupTable {
  const known = tables.get(config);
  if (known) return known;
  const made = makeTable(config);
  tables.set(config, made);
  return made;
}

function makeTable(config: JsonObject): LookupTable {
  const { tokens, masked, unknowns, maskToken, unknownToken } = vocabularyOf(config);
  const first = masked ? 1 : 0;
  const start = first + unknowns;
  const depth = lookupDepth(config);
  const places = new Map<Token, number>(tokens.map((token, index) => [token, start + index]));
  const bucket = unknownBucket(config, unknowns);
  return {
    indexOf: (token) => {
      if (token === maskToken) return masked ? 0 : depth;
      return places.get(token) ?? first + bucket(token);
    },
    tokenAt: (index) =>
      (masked && index === 0 ? maskToken : (tokens[index - start] ?? unknownToken)) as Token,
    depth,
    idfWeights: idfWeightsOf(config),
  };
}

/** Returns the bucket of a token outside the vocabulary. Texts are always hashed, whole numbers only if the layer says so. */
function unknownBucket(config: JsonObject, unknowns: number): (token: Token) => number {
  const hashed = config["oov_method"] === "farmhash";
  return (token) => {
    if (unknowns === 0)
      throw unsupported(`${token}, which is not in the vocabulary,`, "Remove it from the input.");
    if (unknowns === 1) return 0;
    if (hashed || typeof token === "string") {
      return bucketOf(fingerprint(String(token), saltOf(config)), unknowns);
    }
    return ((token % unknowns) + unknowns) % unknowns;
  };
}

/** Returns a layer's `salt`, given as one number or two; undefined if it has none. */
function saltOf(config: JsonObject): Salt | undefined {
  const [low, high = low] = numberList(config["salt"]);
  return low === undefined || high === undefined ? undefined : [low, high];
}

/** Returns the tokens of each text. If the layer does not split texts, each row of the input holds the tokens of one. */
function tokenRows(x: tf.Tensor, config: JsonObject): readonly string[][] {
  const texts = textsOf(x).map((text) => standardized(text, config["standardize"]));
  if (config["split"] === "character") return texts.map((text) => [...text]);
  if (config["split"] === "whitespace") return texts.map((text) => text.split(/[ \t-\r]+/).filter(Boolean));
  const [rows = 0] = x.shape;
  const width = texts.length / rows;
  return Array.from({ length: rows }, (_, row) => texts.slice(row * width, (row + 1) * width));
}

/** Lowercases a text and strips its punctuation, as asked. Only ASCII letters are lowercased, as by `tf.strings.lower`. */
function standardized(text: string, how: JsonObject[string] | undefined): string {
  const kind = String(how);
  const lower = kind.startsWith("lower") ? text.replace(/[A-Z]+/g, (run) => run.toLowerCase()) : text;
  return kind.endsWith("strip_punctuation") ? lower.replace(/[!-/:-@[-`{-~]/g, "") : lower;
}

function ngrams(tokens: readonly string[], width: number): string[] {
  const count = Math.max(0, tokens.length - width + 1);
  return Array.from({ length: count }, (_, start) => tokens.slice(start, start + width).join(" "));
}

/** Pads rows with the mask's index 0 to the layer's `output_sequence_length`, or else to the longest row, and cuts longer ones. */
function padded(indices: readonly number[][], config: JsonObject): tf.Tensor {
  const longest = indices.reduce((most, { length }) => Math.max(most, length), 0);
  const length = (config["output_sequence_length"] as number | null) ?? longest;
  const values = new Int32Array(indices.length * length);
  indices.forEach((row, index) => {
    values.set(row.slice(0, length), index * length);
  });
  return tf.tensor(values, [indices.length, length], "int32");
}

/** Counts the tokens of each row: `[rows, depth]`. */
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
