import type { Json, JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import type { Shape } from "../../tensor.ts";
import { formatShape } from "../../tensor.ts";
import { isObject } from "../config-values.ts";

/**
 * Returns the shape of `x[key]`. Keras 3 writes `key` as integers, null for a new axis, slices and at most one
 * Ellipsis.
 */
export function indexedShape(input: Shape, key: Json): Shape {
  const parts: readonly Json[] = Array.isArray(key) ? key : [key];
  const ellipses = parts.filter(isEllipsis).length;
  const consumed = parts.filter((part) => part !== null && !isEllipsis(part)).length;
  if (ellipses > 1 || consumed > input.length) {
    throw new TopologyError(
      `key: expected at most ${input.length} indices and one Ellipsis for ${formatShape(input)}, got ${parts.length}.`,
      "shape",
    );
  }
  const rest = input.length - consumed;
  const shape: (number | null)[] = [];
  let axis = 0;
  for (const part of ellipses === 1 ? parts : [...parts, ellipsis]) {
    if (part === null) shape.push(1);
    else if (isEllipsis(part)) {
      shape.push(...input.slice(axis, axis + rest));
      axis += rest;
    } else {
      if (isSlice(part)) shape.push(slicedLength(input[axis] ?? null, part));
      else requireIndex(input, axis, part);
      axis += 1;
    }
  }
  return shape;
}

const ellipsis: JsonObject = { class_name: "__ellipsis__", config: {} };

function isEllipsis(part: Json): boolean {
  return isObject(part) && part["class_name"] === "__ellipsis__";
}

function isSlice(part: Json): part is JsonObject {
  return isObject(part) && part["class_name"] === "__slice__";
}

/** Returns Python's `len(range(*slice(start, stop, step).indices(length)))`. */
function slicedLength(length: number | null, slice: JsonObject): number | null {
  if (length === null) return null;
  const config = isObject(slice["config"]) ? slice["config"] : {};
  const step = typeof config["step"] === "number" ? config["step"] : 1;
  const low = step > 0 ? 0 : -1;
  const high = step > 0 ? length : length - 1;
  const bound = (value: Json | undefined, otherwise: number): number => {
    if (typeof value !== "number") return otherwise;
    return Math.min(Math.max(value < 0 ? value + length : value, low), high);
  };
  const start = bound(config["start"], step > 0 ? low : high);
  const stop = bound(config["stop"], step > 0 ? high : low);
  return Math.max(0, Math.ceil((stop - start) / step));
}

function requireIndex(input: Shape, axis: number, part: Json): void {
  const length = input[axis] ?? null;
  const index = typeof part === "number" && Number.isInteger(part) ? part : undefined;
  if (index !== undefined && (length === null || (index >= -length && index < length))) return;
  throw new TopologyError(
    `key: expected indices and slices within ${formatShape(input)}, got ${JSON.stringify(part)}.`,
    "shape",
  );
}
