import type { Json, JsonObject } from "../checkpoint.ts";
import { TopologyError } from "../errors.ts";

/**
 * @file Typed access to the arguments in a layer's config, for specs and kernels. Each function throws a TopologyError
 * that names the argument; the caller, which knows the layer, prefixes the message with its path.
 */

/** Returns whether a JSON value is an object, not a list or null. */
export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Returns a number. */
export function numberAt(config: JsonObject, key: string): number {
  const value = config[key];
  if (typeof value === "number") return value;
  throw wrongValue(key, "a number", value);
}

/** Returns a positive integer, such as `units` or `filters`. */
export function countAt(config: JsonObject, key: string): number {
  const value = config[key];
  if (typeof value === "number" && Number.isSafeInteger(value) && value > 0) return value;
  throw wrongValue(key, "a positive integer", value);
}

/** Returns an integer. */
export function integerAt(config: JsonObject, key: string): number {
  const value = config[key];
  if (typeof value === "number" && Number.isSafeInteger(value)) return value;
  throw wrongValue(key, "an integer", value);
}

/** Returns a boolean. */
export function booleanAt(config: JsonObject, key: string): boolean {
  const value = config[key];
  if (typeof value === "boolean") return value;
  throw wrongValue(key, "true or false", value);
}

/** Returns whether a flag is `true`. A flag that is absent or null is false. */
export function isTrueAt(config: JsonObject, key: string): boolean {
  return config[key] === true;
}

/** Returns a string. */
export function stringAt(config: JsonObject, key: string): string {
  const value = config[key];
  if (typeof value === "string") return value;
  throw wrongValue(key, "a string", value);
}

/** List of numbers with a known length: `NumbersOf<2>` is a pair. */
export type NumbersOf<Count extends number> = Count extends 1
  ? readonly [number]
  : Count extends 2
    ? readonly [number, number]
    : Count extends 3
      ? readonly [number, number, number]
      : readonly number[];

/** Returns `count` numbers from a list of that length, or from a single number that stands for all of them. */
export function numbersAt<const Count extends number>(
  config: JsonObject,
  key: string,
  count: Count,
): NumbersOf<Count> {
  const value = config[key];
  const list = typeof value === "number" ? new Array<number>(count).fill(value) : value;
  if (Array.isArray(list) && list.length === count && list.every((item) => typeof item === "number")) {
    return list as unknown as NumbersOf<Count>;
  }
  throw wrongValue(key, count === 1 ? "a number" : `a number, or ${count} of them`, value);
}

/** Returns a number or nested lists of numbers as a flat list, which is empty for null or an absent value. */
export function numberList(value: Json | undefined): readonly number[] {
  if (value === null || value === undefined) return [];
  return (Array.isArray(value) ? value.flat(Number.POSITIVE_INFINITY) : [value]) as number[];
}

/**
 * Returns `rank` integers from a list of that length, or from a single integer that stands for all of them
 * (`kernel_size`, `strides`, `pool_size`).
 */
export function sizesAt(config: JsonObject, key: string, rank: number, least = 1): number[] {
  const value = config[key];
  const list = Number.isSafeInteger(value) ? [value as number] : value;
  if (isIntegerList(list) && list.every((size) => size >= least)) {
    if (list.length === rank) return [...list];
    const [size, ...others] = list;
    if (size !== undefined && others.length === 0) return new Array<number>(rank).fill(size);
  }
  const number = `an integer of ${least} or more`;
  throw wrongValue(key, rank === 1 ? number : `${number}, or ${rank} of them`, value);
}

/** Returns a list of integers; a single integer becomes a list of one (`axis`, `dims`). */
export function integersAt(config: JsonObject, key: string): number[] {
  const value = config[key];
  if (Number.isSafeInteger(value)) return [value as number];
  if (isIntegerList(value)) return [...value];
  throw wrongValue(key, "integers", value);
}

/**
 * Returns padding or cropping as a pair `[before, after]` for each axis, from `n`, `[n, m]` (equal on both sides) or
 * `[[a, b], [c, d]]`.
 */
export function marginsAt(config: JsonObject, key: string, rank: number): [number, number][] {
  const value = config[key];
  if (Number.isSafeInteger(value)) return margins(new Array<number>(rank).fill(value as number));
  if (rank === 1 && isIntegerList(value) && value.length === 2) {
    const [before = 0, after = 0] = value;
    return [[before, after]];
  }
  if (isIntegerList(value) && value.length === rank) return margins(value);
  if (Array.isArray(value) && value.length === rank) {
    const pairs: readonly Json[] = value;
    if (pairs.every((pair) => isIntegerList(pair) && pair.length === 2)) {
      return pairs.map((pair) => [...(pair as [number, number])]);
    }
  }
  throw wrongValue(key, `an integer, ${rank} of them or ${rank} pairs`, value);
}

/** Returns whether `data_format` is `channels_first`. If it is absent or null, channels come last. */
export function channelsFirst(config: JsonObject): boolean {
  return config["data_format"] === "channels_first";
}

/**
 * Converts an axis that may count from the end to one that counts from the front. @throws {TopologyError} if the rank
 * has no such axis.
 */
export function positiveAxis(axis: number, rank: number): number {
  const positive = axis < 0 ? axis + rank : axis;
  if (positive >= 0 && positive < rank) return positive;
  throw new TopologyError(`axis: expected one of an input of rank ${rank}, got ${axis}.`);
}

function margins(sizes: readonly number[]): [number, number][] {
  return sizes.map((size) => [size, size]);
}

function isIntegerList(value: Json | undefined): value is readonly number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item));
}

function wrongValue(key: string, expected: string, value: Json | undefined): TopologyError {
  const got = value === undefined ? "nothing" : JSON.stringify(value).slice(0, 80);
  return new TopologyError(`${key}: expected ${expected}, got ${got}. The config was not written by Keras.`);
}
