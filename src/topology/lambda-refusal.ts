import type { Json } from "../checkpoint.ts";
import { isObject } from "./config-values.ts";
import { lambdaClass } from "./custom-layers.ts";
import type { GraphLayer } from "./layer-graph.ts";
import type { Refusal } from "./layer-spec.ts";

/** @file Why a Lambda layer cannot be computed, and what it may have been. */

/**
 * Returns the reason for which a Lambda cannot be computed: its function is bytecode of one release of Python, or a name
 * without code.
 */
export function lambdaRefusal({ name, config }: Pick<GraphLayer, "name" | "config">): Refusal {
  const { reason, names } = functionOf(config["function"] ?? null);
  const known = replacements.find(([pattern]) => [name, ...names].some((each) => pattern.test(each)));
  const instead = known ? ` (${known[1]})` : "";
  return {
    reason,
    advice:
      `Replace it with a Keras layer or with functions of keras.ops${instead}, which a model file can store, and save the model again. ` +
      `Or write its function in TypeScript with registerLayer, class "${lambdaClass(name)}" (docs/custom-layers.md).`,
  };
}

/** Replacements of Lambdas by the words in their names, the more special first. */
const replacements: readonly (readonly [name: RegExp, instead: string])[] = [
  [/l2_?norm|unit_?norm|l2_?scale/i, "UnitNormalization"],
  [/euclid/i, "keras.ops.norm(a - b, axis=-1, keepdims=True)"],
  [/abs|l1/i, "keras.ops.abs(a - b) for a distance"],
  [/cosine/i, "Dot(axes=-1, normalize=True)"],
  [/resize|bilinear|upsampl/i, "Resizing or UpSampling2D"],
  [/expand_?dims/i, "keras.ops.expand_dims"],
  [/squeeze/i, "keras.ops.squeeze"],
  [/one_?hot/i, "CategoryEncoding or keras.ops.one_hot"],
  [/preprocess|rescal|normali[sz]e|div_?255/i, "Rescaling or Normalization"],
  [/space_to_depth|depth_to_space|pixel_?shuffle/i, "keras.ops.nn.depth_to_space or space_to_depth"],
  [/cast/i, "keras.ops.cast"],
  [/crop/i, "Cropping2D"],
  [/slice|getitem/i, "slicing of the tensor itself, x[:, a:b]"],
  [/concat/i, "Concatenate"],
  [/transpose|permute/i, "Permute"],
  [/reshape/i, "Reshape"],
  [/mean|pool/i, "GlobalAveragePooling or keras.ops.mean"],
];

function functionOf(written: Json): { readonly reason: string; readonly names: readonly string[] } {
  if (isObject(written) && written["class_name"] !== "__lambda__") {
    const called = String(written["config"] ?? "");
    return { reason: named(called, written["module"] ?? null), names: [called] };
  }
  if (typeof written === "string") return { reason: named(written, null), names: [written] };
  const names = namesInCode(codeIn(written));
  const listed = names.length > 0 ? `, which names ${names.slice(0, 5).join(", ")}` : "";
  return { reason: `a Lambda is Python code: the file has its bytecode${listed}`, names };
}

function named(name: string, module: Json): string {
  const place = typeof module === "string" && module !== "builtins" ? ` of ${module}` : "";
  return `a Lambda is Python code: the file has only the name of its function, ${name}${place}`;
}

/** Returns the bytecode in base64: the first of `[code, defaults, closure]`, which Keras 3 wraps in an object. */
function codeIn(written: Json): string {
  const value = isObject(written) ? codeValue(written["config"] ?? null) : written;
  const code: Json = Array.isArray(value)
    ? (value[0] ?? null)
    : isObject(value)
      ? (value["code"] ?? null)
      : value;
  return typeof code === "string" ? code : "";
}

function codeValue(config: Json): Json {
  return isObject(config) ? (config["value"] ?? config) : null;
}

/** Names that say nothing of what a function does. */
const idle = /^(?:x|y|K|tf|np|keras|backend|ops|math|nn|args?|inputs?|tensors?|self|lambda|_)$/;

/** Types of a short text in marshalled bytecode, which its length in a byte follows: `z`, `Z`, each also marked for reuse. */
const shortTexts: ReadonlySet<number> = new Set([0x7a, 0x5a, 0xfa, 0xda]);

/** Returns the identifiers in marshalled bytecode (Python's `marshal`). */
function namesInCode(base64: string): readonly string[] {
  const code = base64.replace(/[^A-Za-z0-9+/]/g, "");
  const text = atob(code.slice(0, code.length - (code.length % 4)));
  const names = Array.from(text, (_, place) => {
    if (!shortTexts.has(text.charCodeAt(place))) return "";
    return text.slice(place + 2, place + 2 + text.charCodeAt(place + 1));
  });
  return [...new Set(names.filter((name) => /^[A-Za-z_][A-Za-z0-9_]+$/.test(name) && !idle.test(name)))];
}
