import type { Json, JsonObject } from "../../checkpoint.ts";
import { isObject } from "../config-values.ts";
import { editInnerLayers, innerLayerKeys } from "../edit-config.ts";
import type { KerasMajor } from "../layer-graph.ts";
import { specOf } from "../layer-specs.ts";
import { classNameOf } from "./class-names.ts";
import { kerasRelease } from "./dialect.ts";

/** Activations that Keras 3 spells otherwise. What they compute follows the Keras that wrote the file. */
const activationNames: Readonly<Record<string, string>> = { swish: "silu", hard_swish: "hard_silu" };

const regularizerNames: Readonly<Record<string, string>> = { l1: "L1", l2: "L2", l1_l2: "L1L2" };

/** A layer's config in Keras 3's vocabulary, with the defaults of every argument that its spec knows. */
export function modernConfig(className: string, config: JsonObject, keras: KerasMajor): JsonObject {
  const spec = specOf(className);
  const common = Object.fromEntries(
    Object.entries(config).map(([key, value]) => [key, modernValue(key, value, keras)]),
  );
  const own = keras === 3 || !spec?.modernize ? common : spec.modernize(common, keras);
  return { ...spec?.defaults, ...own };
}

/** Layers that are called on a list. */
const listed: ReadonlySet<string> = new Set(
  "Add Subtract Multiply Average Maximum Minimum Dot Concatenate Attention AdditiveAttention".split(" "),
);

/**
 * The config with what a release did otherwise than later ones of the same Keras, and wrote nowhere: `supports_masking` false
 * where a layer knew no masks, `hands_masks` false where it gave none on, `leaves_masks` true where it left them on the tensors
 * that it was called on, `interpolation` "bilinear_from_corner" where pixels were not taken by their centers, `time_major` where
 * only earlier releases had none.
 */
export function ofRelease(className: string, config: JsonObject, kerasVersion: string): JsonObject {
  if (isTimed(kerasVersion)) {
    if (recurrent.has(className)) return { time_major: false, ...config };
    if (className === "Bidirectional") return withTimedLayers(config);
  }
  const { major, minor = Number.POSITIVE_INFINITY, isTensorFlows } = kerasRelease(kerasVersion);
  const isBefore = (release: number): boolean => major === 1 || (major === 2 && minor < release);
  if (className === "TimeDistributed" && isBefore(2)) return { ...config, masks_inside: false };
  if (className === "BatchNormalization" && isBefore(12)) return { ...config, masked_statistics: false };
  const isHeads = className === "MultiHeadAttention";
  if (isHeads && major === 2 && minor < 10) return { ...config, supports_masking: false };
  if (isHeads && major === 3 && minor < 8) return { ...config, leaves_masks: true };
  const isBilinear = className === "UpSampling2D" && config["interpolation"] === "bilinear";
  if (isBilinear && major === 2 && minor <= 3 && !isTensorFlows) {
    return { ...config, interpolation: "bilinear_from_corner" };
  }
  if (listed.has(className) && major === 3 && minor < 4) return { ...config, hands_masks: false };
  return config;
}

const recurrent: ReadonlySet<string> = new Set(
  "SimpleRNN LSTM GRU RNN ConvLSTM1D ConvLSTM2D ConvLSTM3D".split(" "),
);

/** Whether every recurrent layer of that Keras 2 is known to have `time_major`, written or not. */
export function isTimed(kerasVersion: string): boolean {
  const { major, minor = 0 } = kerasRelease(kerasVersion);
  return major === 2 && minor >= 4;
}

function withTimedLayers(config: JsonObject): JsonObject {
  return editInnerLayers(config, (layer) =>
    isObject(layer["config"]) ? { ...layer, config: { time_major: false, ...layer["config"] } } : layer,
  );
}

function modernValue(key: string, value: Json, keras: KerasMajor): Json {
  if (innerLayerKeys.has(key)) return modernNested(value, keras);
  if (key === "dtype") return dtypeName(value);
  if (key === "activation" || key === "recurrent_activation") return activationName(value);
  if (key.endsWith("_regularizer")) return named(value, regularizerNames);
  if (key.endsWith("_initializer")) return named(value, {});
  return value;
}

/** A layer inside another, or several, as `{ class_name, config }`. */
function modernNested(value: Json, keras: KerasMajor): Json {
  if (Array.isArray(value)) return (value as readonly Json[]).map((item) => modernNested(item, keras));
  if (!isObject(value) || !isObject(value["config"])) return value;
  const className = classNameOf(value, keras);
  // A model inside is read as a model.
  if (isModelConfig(className, value["config"])) return { class_name: className, config: value["config"] };
  return { class_name: className, config: modernConfig(className, value["config"], keras) };
}

function isModelConfig(className: string, config: JsonObject): boolean {
  return Array.isArray(config["layers"]) && ("output_layers" in config || className === "Sequential");
}

/** The name of a dtype or of a policy: `float32`, `mixed_float16`, `int8_from_float32` and `float8/1024_from_float32` for quantized ones. */
function dtypeName(value: Json): Json {
  if (!isObject(value) || !isObject(value["config"])) return value;
  const { name, mode, source_name, policy_map, amax_history_length: length } = value["config"];
  if (isObject(policy_map)) return Object.values(policy_map).map(dtypeName).find(isQuantized) ?? null;
  if (mode === undefined) return name ?? null;
  const quantized = typeof length === "number" ? `${String(mode)}/${length}` : String(mode);
  return `${quantized}_from_${String(source_name)}`;
}

function isQuantized(policy: Json): boolean {
  return typeof policy === "string" && policy.includes("_from_");
}

/** A function that was saved as an object is its name; a layer that serves as an activation stays an object. */
function activationName(value: Json): Json {
  if (value === null) return "linear";
  if (typeof value === "string") return activationNames[value] ?? value;
  if (isObject(value) && value["class_name"] === "function" && typeof value["config"] === "string") {
    return activationNames[value["config"]] ?? value["config"];
  }
  return value;
}

/** `{ class_name, config }` for what may also be written as a bare name: `glorot_uniform` is `GlorotUniform`. */
function named(value: Json, names: Readonly<Record<string, string>>): Json {
  if (typeof value !== "string") return value;
  const camelCase = value.replace(/(^|_)([a-z])/g, (_match, _mark, letter: string) => letter.toUpperCase());
  return { class_name: names[value] ?? camelCase, config: {} };
}
