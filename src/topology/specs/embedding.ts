import type { Json, JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import type { Shape } from "../../tensor.ts";
import { booleanAt, countAt } from "../config-values.ts";
import type { CallShapes, LayerSpec, WeightSpec } from "../layer-spec.ts";
import { quantizationOf } from "./quantization.ts";
import { fixed, packedLength, quantizedWeights } from "./quantized-weights.ts";
import { variable, withLowRank } from "./variables.ts";

const uniform: Json = { class_name: "RandomUniform", config: { seed: null, minval: -0.05, maxval: 0.05 } };

/** Embedding (`keras/src/layers/core/embedding.py`). Keras 1 and 2 had the argument `input_length`. */
const embedding: LayerSpec = {
  className: "Embedding",
  defaults: {
    embeddings_initializer: uniform,
    embeddings_regularizer: null,
    embeddings_constraint: null,
    mask_zero: false,
  },
  weights: embeddingWeights,
  outputShapes: ({ config, inputs }) => [
    [...withLengths(inputs[0], config["input_length"]), countAt(config, "output_dim")],
  ],
  masking: true,
};

function embeddingWeights({ config }: CallShapes): WeightSpec[] {
  const [rows, columns] = [countAt(config, "input_dim"), countAt(config, "output_dim")];
  const weights = withLowRank(config, [variable(config, "embeddings", [rows, columns])]);
  return quantizedWeights(config, weights, { rows, columns, scaleShape: [rows], shared: "columns" });
}

/**
 * Resolves unknown lengths by `input_length`, a number or one for each axis. @throws {TopologyError} if they contradict
 * the input.
 */
function withLengths(input: Shape, given: Json | undefined): Shape {
  if (given === undefined || given === null) return input;
  const lengths: readonly Json[] = Array.isArray(given) ? given : [given];
  return input.map((size, axis) => {
    const length = axis === 0 ? null : (lengths[axis - 1] ?? null);
    if (typeof length !== "number" || length === size) return size;
    if (size === null) return length;
    throw new TopologyError(`input_length: expected the ${size} steps of the input, got ${length}.`, "shape");
  });
}

/**
 * ReversibleEmbedding (`keras/src/layers/core/reversible_embedding.py`), which with `reverse=True` projects vectors to
 * token scores.
 */
const reversibleEmbedding: LayerSpec = {
  ...embedding,
  className: "ReversibleEmbedding",
  defaults: { ...embedding.defaults, tie_weights: true, logit_soft_cap: null },
  weights: (call) => {
    const { config } = call;
    if (booleanAt(config, "tie_weights")) return embeddingWeights(call);
    return [...embeddingWeights(call), ...reverseWeights(config)];
  },
  outputShapes: (call) => {
    const { config, inputs, kwargs } = call;
    const reverse = kwargs["reverse"];
    if (reverse?.kind !== "value" || reverse.value !== true) return embedding.outputShapes(call);
    return [[...inputs[0].slice(0, -1), countAt(config, "input_dim")]];
  },
};

function reverseWeights(config: JsonObject): WeightSpec[] {
  const [rows, columns] = [countAt(config, "output_dim"), countAt(config, "input_dim")];
  const quantization = quantizationOf(config);
  if (!quantization) {
    const reverse = variable(config, "reverse_embeddings", [rows, columns], { argument: "embeddings" });
    return [{ ...reverse, regularizer: null }];
  }
  const { bits, blockSize } = quantization;
  const scaleShape = blockSize === undefined ? [columns] : [Math.ceil(rows / blockSize), columns];
  return [
    fixed("reverse_embeddings", [bits === 4 ? packedLength(rows) : rows, columns], "int8"),
    fixed("reverse_embeddings_scale", scaleShape, "float32"),
    ...(blockSize === undefined ? [] : [fixed("reverse_embeddings_zero", scaleShape, "float32")]),
  ];
}

/**
 * Masking (`keras/src/layers/core/masking.py`), which masks and zeroes the steps whose values all equal `mask_value`.
 */
const masking: LayerSpec = {
  className: "Masking",
  defaults: { mask_value: 0 },
  outputShapes: ({ inputs }) => [inputs[0]],
  masking: true,
};

export const embeddingSpecs: readonly LayerSpec[] = [embedding, reversibleEmbedding, masking];
