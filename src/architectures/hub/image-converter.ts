import type { JsonObject, Notes } from "../../checkpoint.ts";
import { isObject } from "../../topology/config-values.ts";
import { hubArguments } from "./hub-models.ts";

/**
 * Returns what the preprocessor of a task of KerasHub does to images, as notes. The converter resizes, multiplies by `scale` and
 * adds `offset`; each is one number or one per channel.
 *
 * Source: `keras_hub/src/layers/preprocessing/image_converter.py`.
 */
export function imageNotesOf(modelConfig: JsonObject): Notes {
  const converter = converterOf(modelConfig);
  if (!converter) return {};
  const [height, width] = listOf(converter["image_size"]);
  const [scale, offset] = [listOf(converter["scale"] ?? 1), listOf(converter["offset"] ?? 0)];
  const std = scale.map((value) => shortened(1 / value));
  const channels = Math.max(scale.length, offset.length);
  const mean = Array.from({ length: channels }, (_, channel) => {
    const [one, other] = [offset, std].map((values) => values[values.length === 1 ? 0 : channel] ?? 0);
    return shortened(0 - (one ?? 0) * (other ?? 0));
  });
  const isPlain = mean.every((value) => value === 0) && std.every((value) => value === 1);
  return {
    preprocess: isPlain ? "none" : `mean=${mean.join(",")},std=${std.join(",")}`,
    ...(height !== undefined && width !== undefined && { imageSize: [height, width] }),
    ...(height !== undefined && converter["crop_to_aspect_ratio"] !== false && { crop: true }),
  };
}

/** Returns the warning that images are resized otherwise than by the preprocessor of a task of KerasHub, undefined where they are not. */
export function converterWarning(modelConfig: JsonObject): string | undefined {
  const converter = converterOf(modelConfig) ?? {};
  const others = [
    converter["pad_to_aspect_ratio"] === true && "pad_to_aspect_ratio",
    converter["antialias"] === true && "antialias",
    (converter["interpolation"] ?? "bilinear") !== "bilinear" &&
      `interpolation ${String(converter["interpolation"])}`,
  ].filter((name) => name !== false);
  if (others.length === 0) return undefined;
  return `preprocessing: KerasHub's preprocessor resizes with ${others.join(", ")}; here images are resized bilinearly, without padding and antialias, so that scores differ a little.`;
}

/** Returns the warning that a run prepares pixels otherwise than the preprocessor that the written file keeps, undefined where it does not. */
export function otherPreprocessing(modelConfig: JsonObject, mode: string): string | undefined {
  const { preprocess } = imageNotesOf(modelConfig);
  if (preprocess === undefined || preprocess === mode) return undefined;
  return `preprocessing: the file keeps KerasHub's preprocessor, ${preprocess}, while the model is trained on ${mode}. In Python set model.preprocessor = None and prepare images yourself.`;
}

function converterOf(modelConfig: JsonObject): JsonObject | undefined {
  return configIn(configIn(hubArguments(modelConfig), "preprocessor"), "image_converter");
}

function configIn(config: JsonObject | undefined, key: string): JsonObject | undefined {
  const entry = config?.[key];
  const inner = isObject(entry ?? null) ? (entry as JsonObject)["config"] : undefined;
  return isObject(inner ?? null) ? (inner as JsonObject) : undefined;
}

/** Returns a number without the last digits, which are rounding errors: 121.80000000000001. */
function shortened(value: number): number {
  return Number(value.toPrecision(12));
}

function listOf(value: unknown): readonly number[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  return list.filter((item) => typeof item === "number");
}
