import type { Json, JsonObject } from "../../checkpoint.ts";

/** @file TensorFlow's slices as keys of Keras 3's GetItem. */

/** Returns the key for `tf.slice`, whose sizes are -1 for slices up to the end. */
export function sliceKey({ begin, size }: JsonObject): Json | undefined {
  if (!isNumbers(begin) || !isNumbers(size)) return undefined;
  return begin.map((start, axis) => {
    const length = size[axis] ?? -1;
    return length === -1 ? part(start || null, null) : part(start, start + length);
  });
}

/** Returns the key for `tf.strided_slice`. Each bit of a mask applies to one axis of the three lists. */
export function stridedKey(given: JsonObject): Json | undefined {
  const { begin, end, strides } = given;
  if (!isNumbers(begin) || !isNumbers(end)) return undefined;
  const has = (mask: string, axis: number): boolean =>
    ((Number(given[`${mask}_mask`] ?? 0) >> axis) & 1) === 1;
  return begin.map((start, axis): Json => {
    const step = isNumbers(strides) ? (strides[axis] ?? 1) : 1;
    if (has("ellipsis", axis)) return { class_name: "__ellipsis__", config: {} };
    if (has("new_axis", axis)) return null;
    if (has("shrink_axis", axis)) return start;
    return part(
      has("begin", axis) ? null : start,
      has("end", axis) ? null : (end[axis] ?? null),
      step === 1 ? null : step,
    );
  });
}

function part(start: number | null, stop: number | null, step: number | null = null): Json {
  return { class_name: "__slice__", config: { start, stop, step } };
}

function isNumbers(json: Json | undefined): json is readonly number[] {
  return Array.isArray(json) && json.every((item) => typeof item === "number");
}
