import type { Json, JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import type { Shape } from "../../tensor.ts";
import { booleanAt, countAt, integersAt } from "../config-values.ts";
import type { CallShapes, LayerSpec, WeightSpec } from "../layer-spec.ts";
import { isTrue, shapesByName } from "./call-shapes.ts";
import { glorotUniform, kernelAndBias, ones, variable } from "./variables.ts";
import { knownSize } from "./windows.ts";

const hasDropout = (config: JsonObject): boolean => Number(config["dropout"]) > 0;

/**
 * Creates the spec of an attention layer that is called on a list of query, value and optionally key
 * (`keras/src/layers/attention/attention.py`, `additive_attention.py`).
 */
function dotAttention(
  className: string,
  defaults: JsonObject,
  weights: (call: CallShapes) => WeightSpec[],
): LayerSpec {
  return {
    className,
    defaults: { ...defaults, dropout: 0 },
    weights,
    outputShapes: (call) => {
      const [query, value, key = value] = call.inputs;
      if (!query || !value || !key) {
        throw new TopologyError(`inputs: expected [query, value], got ${call.inputs.length}.`, "shape");
      }
      const output = [...query.slice(0, -1), value.at(-1) ?? null];
      const scores = [...query.slice(0, -1), key.at(-2) ?? null];
      return isTrue(call.kwargs["return_attention_scores"]) ? [output, scores] : [output];
    },
    multiplyAdds: ({ inputs: [query, value = query, key = value] }) =>
      positions(query) * (key.at(-2) ?? 0) * ((key.at(-1) ?? 0) + (value.at(-1) ?? 0)),
    randomWith: hasDropout,
    masking: true,
  };
}

/** Returns the number of vectors of one sample. */
function positions(shape: Shape): number {
  return shape.slice(1, -1).reduce<number>((product, size) => product * (size ?? 0), 1);
}

function scalarWeight(name: string, shape: readonly number[], initializer: Json): WeightSpec {
  return { name, shape, trainable: true, initializer, regularizer: null };
}

const attention = dotAttention("Attention", { use_scale: false, score_mode: "dot" }, ({ config }) => [
  ...(booleanAt(config, "use_scale") ? [scalarWeight("scale", [], ones)] : []),
  ...(config["score_mode"] === "concat" ? [scalarWeight("concat_score_weight", [], ones)] : []),
]);

const additiveAttention = dotAttention("AdditiveAttention", { use_scale: true }, ({ config, inputs }) => {
  const query = inputs[0];
  if (!booleanAt(config, "use_scale")) return [];
  return [scalarWeight("scale", [knownSize(query, query.length - 1, "features")], glorotUniform)];
});

/** Names of the positional arguments of multi-head layers. */
export const headArguments = [
  "query",
  "value",
  "key",
  "query_mask",
  "value_mask",
  "key_mask",
  "attention_mask",
  "return_attention_scores",
] as const;

interface QueryValueKey {
  readonly query: Shape;
  readonly value: Shape;
  readonly key: Shape;
}

/** Returns the shapes of query, value and key. @throws {TopologyError} if query or value is missing. */
function queryValueKey(call: CallShapes): QueryValueKey {
  const shapes = shapesByName(call, headArguments);
  const [query, value] = [shapes.get("query")?.[0], shapes.get("value")?.[0]];
  if (!query || !value) throw new TopologyError("inputs: expected a query and a value, got fewer.", "shape");
  return { query, value, key: shapes.get("key")?.[0] ?? value };
}

const projection: JsonObject = {
  use_bias: true,
  use_gate: false,
  sliding_window: null,
  ...kernelAndBias,
  dropout: 0,
};

/**
 * Returns the weights of a projection inside an attention layer.
 * @param place Attribute that holds the projection, which names its folder in archives.
 * @param name Name of the projection layer, which earlier releases used.
 */
function projected(
  config: JsonObject,
  place: string,
  name: string,
  inputs: readonly number[],
  outputs: readonly number[],
): WeightSpec[] {
  const own = (weight: string, shape: readonly number[]): WeightSpec =>
    variable(config, `${place}/${weight}`, shape, {
      argument: weight,
      formerNames: [`${place.startsWith("_") ? "" : "_"}${place}/${weight}`, `${name}/${weight}`],
    });
  return [
    own("kernel", [...inputs, ...outputs]),
    ...(booleanAt(config, "use_bias") ? [own("bias", outputs)] : []),
  ];
}

function features(shape: Shape): number {
  return knownSize(shape, shape.length - 1, "features");
}

/** Adds the shape of the attention scores if the call requests them. */
function withScores(call: CallShapes, output: Shape, heads: number): readonly Shape[] {
  const { query, key } = queryValueKey(call);
  const asked = isTrue(call.kwargs["return_attention_scores"]);
  return asked ? [output, [query[0] ?? null, heads, ...query.slice(1, -1), ...key.slice(1, -1)]] : [output];
}

/** MultiHeadAttention (`keras/src/layers/attention/multi_head_attention.py`). */
const multiHeadAttention: LayerSpec = {
  className: "MultiHeadAttention",
  defaults: { ...projection, output_shape: null, attention_axes: null },
  weights: (call) => {
    const { config } = call;
    const { query, value, key } = queryValueKey(call);
    const keyHeads = [countAt(config, "num_heads"), countAt(config, "key_dim")];
    const valueHeads = [countAt(config, "num_heads"), valueSize(config)];
    return [
      ...projected(config, "query_dense", "query", [features(query)], keyHeads),
      ...projected(config, "key_dense", "key", [features(key)], keyHeads),
      ...(config["use_gate"] === true
        ? projected(config, "_gate_dense", "gate", [features(query)], valueHeads)
        : []),
      ...projected(config, "value_dense", "value", [features(value)], valueHeads),
      ...projected(config, "output_dense", "attention_output", valueHeads, outputSizes(config, query)),
    ];
  },
  outputShapes: (call) => {
    const { query } = queryValueKey(call);
    const output = [...query.slice(0, -1), ...outputSizes(call.config, query)];
    return withScores(call, output, countAt(call.config, "num_heads"));
  },
  multiplyAdds: (call) => {
    const { config } = call;
    const { query, value, key } = queryValueKey(call);
    const heads = countAt(config, "num_heads");
    const [keySize, valueWidth] = [countAt(config, "key_dim"), valueSize(config)];
    const output = outputSizes(config, query).reduce((product, size) => product * size, 1);
    const perQuery = heads * (features(query) * keySize + valueWidth * output);
    const perKey = heads * (features(key) * keySize + features(value) * valueWidth);
    const pairs = positions(query) * positions(key) * heads * (keySize + valueWidth);
    return positions(query) * perQuery + positions(key) * perKey + pairs;
  },
  randomWith: hasDropout,
  masking: true,
};

function valueSize(config: JsonObject): number {
  return config["value_dim"] == null ? countAt(config, "key_dim") : countAt(config, "value_dim");
}

function outputSizes(config: JsonObject, query: Shape): number[] {
  const given = config["output_shape"];
  const empty = given === null || (Array.isArray(given) && given.length === 0);
  return empty ? [features(query)] : integersAt(config, "output_shape");
}

/**
 * GroupQueryAttention (`keras/src/layers/attention/grouped_query_attention.py`), in which query heads share key and
 * value heads.
 */
const groupQueryAttention: LayerSpec = {
  className: "GroupQueryAttention",
  defaults: projection,
  weights: (call) => {
    const { config } = call;
    const { query, value, key } = queryValueKey(call);
    const size = countAt(config, "head_dim");
    const queryHeads = [countAt(config, "num_query_heads"), size];
    const valueHeads = [countAt(config, "num_key_value_heads"), size];
    return [
      ...projected(config, "_query_dense", "query", [features(query)], queryHeads),
      ...projected(config, "_key_dense", "key", [features(key)], valueHeads),
      ...(config["use_gate"] === true
        ? projected(config, "_gate_dense", "gate", [features(query)], queryHeads)
        : []),
      ...projected(config, "_value_dense", "value", [features(value)], valueHeads),
      ...projected(config, "_output_dense", "attention_output", queryHeads, [features(query)]),
    ];
  },
  outputShapes: (call) =>
    withScores(call, queryValueKey(call).query, countAt(call.config, "num_query_heads")),
  multiplyAdds: (call) => {
    const { config } = call;
    const { query, value, key } = queryValueKey(call);
    const size = countAt(config, "head_dim");
    const heads = countAt(config, "num_query_heads");
    const shared = countAt(config, "num_key_value_heads");
    const perQuery = 2 * heads * size * features(query);
    const perKey = shared * size * (features(key) + features(value));
    return positions(query) * perQuery + positions(key) * (perKey + positions(query) * heads * 2 * size);
  },
  randomWith: hasDropout,
  masking: true,
};

export const attentionSpecs: readonly LayerSpec[] = [
  attention,
  additiveAttention,
  multiHeadAttention,
  groupQueryAttention,
];
