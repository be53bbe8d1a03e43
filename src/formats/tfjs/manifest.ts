import type { Json, JsonObject } from "../../checkpoint.ts";
import { KerasFileError } from "../../errors.ts";
import { elementCount, type Tensor, toFloat32 } from "../../tensor.ts";
import { isObject } from "../../topology/config-values.ts";
import type { StoredWeight } from "../stored-weights.ts";
import { openShards, type Shards } from "./shards.ts";

/**
 * @file The `weightsManifest` of a model.json: groups of concatenated weights, each group in shards of its own. Values
 * that tensorflowjs_converter quantized are read as floats: `q * scale + min`.
 */

type Quantization =
  | { readonly dtype: "float16" }
  | { readonly dtype: "uint8" | "uint16"; readonly scale: number; readonly min: number };

interface Described {
  readonly name: string;
  readonly dtype: "float32" | "int32" | "bool";
  readonly shape: readonly number[];
  readonly quantization: Quantization | undefined;
}

/**
 * Returns the weights of a manifest without reading their values.
 * @throws {KerasFileError} for an invalid manifest, and for shards that are missing, too short or too long.
 */
export function storedInManifest(manifest: Json, folder: string, label: string): readonly StoredWeight[] {
  return list(manifest, label, "weightsManifest").flatMap((group) => {
    if (!isObject(group)) throw malformed(label, "weightsManifest: expected groups", group);
    const paths = list(group["paths"], label, "paths").map((path) => {
      if (typeof path !== "string") throw malformed(label, "paths: expected names", path);
      return path;
    });
    return storedInGroup(
      list(group["weights"], label, "weights").map((weight) => described(weight, label)),
      openShards(folder, paths, label),
      label,
    );
  });
}

function storedInGroup(weights: readonly Described[], shards: Shards, label: string): StoredWeight[] {
  let end = 0;
  const stored = weights.map((weight): StoredWeight => {
    const start = end;
    const bytes = elementCount(weight.shape) * bytesPerElement(weight);
    end += bytes;
    const { name, dtype, shape } = weight;
    return { name, dtype, shape, read: () => decoded(weight, shards.read(start, bytes)) };
  });
  if (end === shards.size) return stored;
  throw new KerasFileError(
    `${label}: weights: expected ${end.toLocaleString("en-US")} bytes for ${weights.length} weights, got ${shards.size.toLocaleString("en-US")}. Copy or download it again.`,
    "truncated",
  );
}

function bytesPerElement({ dtype, quantization }: Described): number {
  if (quantization) return quantization.dtype === "uint8" ? 1 : 2;
  return dtype === "bool" ? 1 : 4;
}

function decoded({ dtype, shape, quantization }: Described, bytes: Uint8Array<ArrayBuffer>): Tensor {
  const { buffer } = bytes;
  if (!quantization) {
    if (dtype === "bool") return { dtype, shape, data: bytes };
    return { dtype, shape, data: dtype === "int32" ? new Int32Array(buffer) : new Float32Array(buffer) };
  }
  if (quantization.dtype === "float16") {
    const data = toFloat32({ dtype: "float16", shape, data: new Uint16Array(buffer) });
    return { dtype: "float32", shape, data };
  }
  const { scale, min } = quantization;
  const steps: ArrayLike<number> = quantization.dtype === "uint8" ? bytes : new Uint16Array(buffer);
  const data = Float32Array.from(steps, (step) => step * scale + min);
  return dtype === "int32"
    ? { dtype, shape, data: Int32Array.from(data, Math.round) }
    : { dtype: "float32", shape, data };
}

function described(json: Json, label: string): Described {
  if (!isObject(json) || typeof json["name"] !== "string")
    throw malformed(label, "weights: expected a name", json);
  const { name, dtype, shape } = json;
  const place = `${label}: ${name}`;
  const sizes = list(shape, place, "shape");
  if (!isSizes(sizes)) throw malformed(place, "shape: expected whole numbers", sizes);
  if (dtype !== "float32" && dtype !== "int32" && dtype !== "bool") {
    throw malformed(place, "dtype: expected float32, int32 or bool", dtype);
  }
  return { name, dtype, shape: sizes, quantization: quantizationOf(json, place) };
}

function isSizes(sizes: readonly Json[]): sizes is readonly number[] {
  return sizes.every((size) => Number.isSafeInteger(size) && (size as number) >= 0);
}

function quantizationOf(json: JsonObject, place: string): Quantization | undefined {
  const quantization = json["quantization"];
  if (quantization == null) return undefined;
  const { dtype, scale, min } = isObject(quantization) ? quantization : {};
  if (dtype === "float16" && json["dtype"] === "float32") return { dtype };
  if ((dtype === "uint8" || dtype === "uint16") && typeof scale === "number" && typeof min === "number") {
    return { dtype, scale, min };
  }
  throw malformed(
    place,
    "quantization: expected uint8 or uint16 with scale and min, or float16",
    quantization,
  );
}

function list(json: Json | undefined, place: string, key: string): readonly Json[] {
  if (Array.isArray(json)) return json;
  throw malformed(place, `${key}: expected a list`, json);
}

function malformed(place: string, expected: string, got: Json | undefined): KerasFileError {
  return new KerasFileError(
    `${place}: ${expected}, got ${JSON.stringify(got ?? null).slice(0, 80)}.`,
    "structure",
  );
}
