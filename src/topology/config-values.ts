import type { Json, JsonObject } from "../checkpoint.ts";
import { TopologyError } from "../errors.ts";

/**
 * @file Typed values of a layer's config, the one vocabulary for specs and kernels. Each function throws a TopologyError that
 * names the argument; the caller that knows the layer puts its path before the message.
 */

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function numberAt(config: JsonObject, key: string): number {
  const value = config[key];
  if (typeof value === "number") return value;
  throw wrongValue(key, "a number", value);
}

/** A whole number that counts something: `units`, `filters`. */
export function countAt(config: JsonObject, key: string): number {
  const value = config[key];
  if (typeof value === "number" && Number.isSafeInteger(value) && value > 0) return value;
  throw wrongValue(key, "a positive whole number", value);
}

export function integerAt(config: JsonObject, key: string): number {
  const value = config[key];
  if (typeof value === "number" && Number.isSafeInteger(value)) return value;
  throw wrongValue(key, "a whole number", value);
}

export function booleanAt(config: JsonObject, key: string): boolean {
  const value = config[key];
  if (typeof value === "boolean") return value;
  throw wrongValue(key, "true or false", value);
}

/** Returns true only if the value is `true`: a flag that is absent or null is off. */
export function isTrueAt(config: JsonObject, key: string): boolean {
  return config[key] === true;
}

export function stringAt(config: JsonObject, key: string): string {
  const value = config[key];
  if (typeof value === "string") return value;
  throw wrongValue(key, "a string", value);
}

/** A list of a length that is known: `NumbersOf<2>` is a pair. */
export type NumbersOf<Count extends number> = Count extends 1
  ? readonly [number]
  : Count extends 2
    ? readonly [number, number]
    : Count extends 3
      ? readonly [number, number, number]
      : readonly number[];

/** Returns `count` numbers, whole or not, from a list of so many or from a lone number that counts for each. */
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

/** `[n, n]` for a lone `n`, the list itself where it has `rank` whole numbers: `kernel_size`, `strides`, `pool_size`. */
export function sizesAt(config: JsonObject, key: string, rank: number, least = 1): number[] {
  const value = config[key];
  const list = Number.isSafeInteger(value) ? [value as number] : value;
  if (isIntegerList(list) && list.every((size) => size >= least)) {
    if (list.length === rank) return [...list];
    if (list.length === 1) return new Array<number>(rank).fill(list[0]!);
  }
  const number = `a whole number of ${least} or more`;
  throw wrongValue(key, rank === 1 ? number : `${number}, or ${rank} of them`, value);
}

/** Whole numbers, a lone one as a list of one: `axis`, `dims`. */
export function integersAt(config: JsonObject, key: string): number[] {
  const value = config[key];
  if (Number.isSafeInteger(value)) return [value as number];
  if (isIntegerList(value)) return [...value];
  throw wrongValue(key, "whole numbers", value);
}

/** Padding or cropping as `[before, after]` an axis, from `n`, `[n, m]` (both sides alike) or `[[a, b], [c, d]]`. */
export function marginsAt(config: JsonObject, key: string, rank: number): [number, number][] {
  const value = config[key];
  if (Number.isSafeInteger(value)) return margins(new Array<number>(rank).fill(value as number));
  if (rank === 1 && isIntegerList(value) && value.length === 2) return [[value[0]!, value[1]!]];
  if (isIntegerList(value) && value.length === rank) return margins(value);
  if (Array.isArray(value) && value.length === rank) {
    const pairs: readonly Json[] = value;
    if (pairs.every((pair) => isIntegerList(pair) && pair.length === 2)) {
      return pairs.map((pair) => [...(pair as [number, number])]);
    }
  }
  throw wrongValue(key, `a whole number, ${rank} of them or ${rank} pairs`, value);
}

/** Whether the channels come first; `data_format` absent or null means last. */
export function channelsFirst(config: JsonObject): boolean {
  return config["data_format"] === "channels_first";
}

/** The axis counted from the front. @throws {TopologyError} where the rank has no such axis. */
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
  return new TopologyError(
    `${key}: expected ${expected}, got ${got}. The config is not one that Keras writes.`,
  );
}
