import type { Json, JsonObject } from "../checkpoint.ts";
import { TopologyError } from "../errors.ts";

/** An argument of the layer that must be there. @throws {TopologyError} where it is not what Keras writes. */
export function numberIn(config: JsonObject, name: string): number {
  const value = config[name];
  if (typeof value === "number") return value;
  throw mistyped(config, name, "a number");
}

export function stringIn(config: JsonObject, name: string): string {
  const value = config[name];
  if (typeof value === "string") return value;
  throw mistyped(config, name, "a string");
}

/** `true` only where the argument is `true`. */
export function flagIn(config: JsonObject, name: string): boolean {
  return config[name] === true;
}

/** A number or a list of `count` numbers, as a list of `count`. */
export function numbersIn(config: JsonObject, name: string, count: number): readonly number[] {
  const value = config[name];
  if (typeof value === "number") return Array.from({ length: count }, () => value);
  if (Array.isArray(value) && value.length === count && value.every((item) => typeof item === "number")) {
    return value as readonly number[];
  }
  throw mistyped(config, name, `a number or ${count} of them`);
}

/** A number or a list of numbers, as a list; an argument that is absent or null is an empty one. */
export function numberList(value: Json | undefined): readonly number[] {
  if (value === null || value === undefined) return [];
  return (Array.isArray(value) ? value.flat(Number.POSITIVE_INFINITY) : [value]) as number[];
}

/** The error for an argument that this product knows and cannot compute. */
export function unsupported(config: JsonObject, what: string, advice: string): TopologyError {
  return new TopologyError(
    `${layerName(config)}: ${what} cannot be computed here. ${advice}`,
    "unsupported-layer",
  );
}

function mistyped(config: JsonObject, name: string, expected: string): TopologyError {
  return new TopologyError(
    `${layerName(config)}: argument "${name}": expected ${expected}, got ${JSON.stringify(config[name] ?? null)}.`,
  );
}

function layerName(config: JsonObject): string {
  return typeof config["name"] === "string" ? config["name"] : "layer";
}
