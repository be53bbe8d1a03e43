import type { PreprocessMode } from "../index.ts";
import { UsageError } from "../index.ts";

/** Turns the text after a flag into its value. `flag` is the flag as written, for the message. */
export type ParseValue<T> = (text: string, flag: string) => T;

/** `--epochs "ten": expected a whole number of 1 or more, got "ten".` */
export function badValue(flag: string, expected: string, text: string): UsageError {
  return new UsageError(`${flag}: expected ${expected}, got ${JSON.stringify(text)}.`, "flag-value");
}

/** @throws {UsageError} for what is no whole number, or less than `least`. */
export function wholeNumber(least: number): ParseValue<number> {
  return (text, flag) => {
    const value = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN;
    if (Number.isSafeInteger(value) && value >= least) return value;
    throw badValue(flag, `a whole number of ${least} or more`, text);
  };
}

/** @throws {UsageError} for what is no number above 0. */
export const positiveNumber: ParseValue<number> = (text, flag) => {
  const value = /^[+]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
  if (Number.isFinite(value) && value > 0) return value;
  throw badValue(flag, "a number above 0", text);
};

/** @throws {UsageError} for what is not one of `choices`. */
export function oneOf<const T extends string>(...choices: readonly T[]): ParseValue<T> {
  return (text, flag) => {
    const choice = choices.find((known) => known === text);
    if (choice !== undefined) return choice;
    throw badValue(flag, `one of ${choices.join(", ")}`, text);
  };
}

/** Any text but the empty one. */
export const plainText: ParseValue<string> = (text, flag) => {
  if (text.trim() !== "") return text;
  throw badValue(flag, "some text", text);
};

/** `224` is a square; `200x300` is height by width. */
export const imageSize: ParseValue<number | readonly [number, number]> = (text, flag) => {
  const [, height, width] = /^([1-9]\d{0,4})(?:x([1-9]\d{0,4}))?$/.exec(text) ?? [];
  if (height === undefined)
    throw badValue(flag, "pixels such as 224, or height x width such as 200x300", text);
  return width === undefined ? Number(height) : [Number(height), Number(width)];
};

/** A mode by name, or `mean=…,std=…`, whose numbers are checked with the other options. */
export const preprocessMode: ParseValue<PreprocessMode | "auto"> = (text, flag) =>
  /^(?:mean|std)=/.test(text)
    ? (text as PreprocessMode)
    : oneOf("auto", "caffe", "tf", "torch", "unit", "none")(text, flag);

const byteUnits: Readonly<Record<string, number>> = { "": 1, B: 1, KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 };

/** `10GB`, `500 MB`, `1.5GB`, or a plain number of bytes. */
export const byteSize: ParseValue<number> = (text, flag) => {
  const [, number, unit = ""] = /^(\d+(?:\.\d+)?)\s*([kmgt]?b)?$/i.exec(text) ?? [];
  const bytes = Number(number) * (byteUnits[unit.toUpperCase()] ?? Number.NaN);
  if (number !== undefined && bytes >= 1 && Number.isSafeInteger(Math.round(bytes))) return Math.round(bytes);
  throw badValue(flag, "a size such as 500MB or 10GB", text);
};

/** `balanced`, or `cat=2,dog=0.5` by class name or index. */
export const classWeight: ParseValue<"balanced" | Readonly<Record<string, number>>> = (text, flag) => {
  if (text === "balanced") return "balanced";
  const pairs = text.split(",").map((pair) => /^\s*(.+)=\s*(\S+)\s*$/.exec(pair));
  const weights = pairs.map((pair): [string, number] => [pair?.[1]?.trim() ?? "", Number(pair?.[2])]);
  if (weights.every(([name, weight]) => name && weight > 0 && Number.isFinite(weight))) {
    return Object.fromEntries(weights);
  }
  throw badValue(flag, "balanced, or weights above 0 such as cat=2,dog=0.5", text);
};
