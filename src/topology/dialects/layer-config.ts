import type { Json, JsonObject } from "../../checkpoint.ts";
import { isObject } from "../config-values.ts";
import { editInnerLayers, innerLayerKeys } from "../edit-config.ts";
import type { KerasMajor } from "../layer-graph.ts";
import { specOf } from "../layer-specs.ts";
import { classNameOf } from "./class-names.ts";
import { kerasRelease } from "./dialect.ts";
import type { PackageLayer } from "./package-layers.ts";
import { packageActivation, packageLayer, writtenAs } from "./package-layers.ts";

/** Activations that Keras 3 renamed. Their semantics follow the version of Keras that wrote the file. */
const activationNames: Readonly<Record<string, string>> = { swish: "silu", hard_swish: "hard_silu" };

const regularizerNames: Readonly<Record<string, string>> = { l1: "L1", l2: "L2", l1_l2: "L1L2" };

/** Converts a layer's config to Keras 3's vocabulary and adds the defaults of all arguments that its spec knows. */
export function modernConfig(className: string, config: JsonObject, keras: KerasMajor): JsonObject {
  const spec = specOf(className);
  const common = Object.fromEntries(
    Object.entries(config).map(([key, value]) => [key, modernValue(key, value, keras)]),
  );
  const own = keras === 3 || !spec?.modernize ? common : spec.modernize(common, keras);
  return { ...spec?.defaults, ...own };
}

/** Layer classes that are called on a list. */
const listed: ReadonlySet<string> = new Set(
  "Add Subtract Multiply Average Maximum Minimum Dot Concatenate Attention AdditiveAttention".split(" "),
);

/** Returns whether layers of a class are called on a list of tensors. */
export function calledOnList(className: string): boolean {
  return listed.has(className);
}

/**
 * Adds arguments for behavior that changed between releases of one major version and that files do not record:
 *
 * - `supports_masking: false` if the layer did not support masks,
 * - `hands_masks: false` if it did not pass masks on,
 * - `leaves_masks: true` if it left masks on the tensors that it was called on,
 * - `masks_inside: false` if a TimeDistributed did not pass masks to its layer,
 * - `masked_statistics: false` if BatchNormalization included masked steps in its statistics,
 * - `interpolation: "bilinear_from_corner"` if pixels were not aligned by their centers,
 * - `time_major` if every recurrent layer of the release had that argument.
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

/**
 * Returns whether every recurrent layer of a release of Keras 2 has `time_major`, even if a file does not record it.
 */
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

/** Converts an inner layer, or a list of them, to `{ class_name, config }`. */
function modernNested(value: Json, keras: KerasMajor): Json {
  if (Array.isArray(value)) return (value as readonly Json[]).map((item) => modernNested(item, keras));
  if (!isObject(value) || !isObject(value["config"])) return value;
  const written = classNameOf(value, keras);
  const known = packageLayer(written, value["config"]);
  if (known) return { class_name: known.className, config: knownConfig(written, known, keras) };
  const className = written;
  // An inner model is read as a model later.
  if (isModelConfig(className, value["config"])) return { class_name: className, config: value["config"] };
  return { class_name: className, config: modernConfig(className, value["config"], keras) };
}

/** Returns the complete config of a class of a package, which keeps the name that the file has for it. */
export function knownConfig(
  written: string,
  { className, config }: PackageLayer,
  keras: KerasMajor,
): JsonObject {
  return { ...modernConfig(className, config, keras), [writtenAs]: written };
}

function isModelConfig(className: string, config: JsonObject): boolean {
  return Array.isArray(config["layers"]) && ("output_layers" in config || className === "Sequential");
}

/**
 * Returns the name of a dtype or dtype policy: `float32`, `mixed_float16`, and for quantized layers `int8_from_float32`
 * or `float8/1024_from_float32`.
 */
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

/**
 * Returns the name of an activation. A function that was saved as an object becomes its name; a layer stays an object.
 */
function activationName(value: Json): Json {
  if (value === null) return "linear";
  if (typeof value === "string") return functionName(value);
  if (isObject(value) && value["class_name"] === "function" && typeof value["config"] === "string") {
    return functionName(value["config"]);
  }
  return value;
}

function functionName(name: string): string {
  return activationNames[name] ?? packageActivation(name) ?? name;
}

/**
 * Returns `{ class_name, config }` for an object that may be written as a name only: `glorot_uniform` is
 * `GlorotUniform`.
 */
function named(value: Json, names: Readonly<Record<string, string>>): Json {
  if (typeof value !== "string") return value;
  const camelCase = value.replace(/(^|_)([a-z])/g, (_match, _mark, letter: string) => letter.toUpperCase());
  return { class_name: names[value] ?? camelCase, config: {} };
}
