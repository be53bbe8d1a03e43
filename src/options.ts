/** Names of options in messages, and the values that options take. */
import { UsageError } from "./errors.ts";

/** Spells options in messages: as code writes them, or as the command line does. */
export interface OptionSpelling {
  /** Returns the option's name: `patience`, `--patience`. */
  name(option: string): string;
  /** Returns the option with a value: `outputFormat: "h5"`, `--format h5`. */
  assigned(option: string, value: string | number | boolean): string;
  /** Returns a freeze policy: `freezeUntil("conv4")`, `--freeze-until "conv4"`; without an argument where it has none. */
  policy(name: string, argument?: string | number): string;
}

const inCode: OptionSpelling = {
  name: (option) => option,
  assigned: (option, value) => `${option}: ${JSON.stringify(value)}`,
  policy: (name, argument) => `${name}(${argument === undefined ? "" : JSON.stringify(argument)})`,
};

let spelling = inCode;

/** Makes every later message spell options in another way; the command line calls it once, at its start. */
export function spellOptions(as: OptionSpelling = inCode): void {
  spelling = as;
}

/** Returns an option's name as the caller wrote it: `patience` in code, `--patience` on the command line. */
export function optionName(option: string): string {
  return spelling.name(option);
}

/** Returns an option and its value as the caller would write them: `exif: false` in code, `--no-exif` on the command line. */
export function optionSetTo(option: string, value: string | number | boolean): string {
  return spelling.assigned(option, value);
}

/** Returns a freeze policy as the caller would write it: `freezeUntil("conv4")`, or `--freeze-until "conv4"` on the command line. */
export function policyName(name: string, argument?: string | number): string {
  return spelling.policy(name, argument);
}

/** Returns a text as a shell takes it for one word. */
export function shellWord(text: string): string {
  return /^[\w./:,=%+@-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** Returns the error `<option>: expected <expected>, got <given>. <advice>`, which carries the option. */
export function optionError(
  option: string,
  expected: string,
  given: unknown,
  { code = "option-value", advice = "" }: { readonly code?: string; readonly advice?: string } = {},
): UsageError {
  const message = `${optionName(option)}: expected ${expected}, got ${valueText(given)}.${advice && ` ${advice}`}`;
  return new UsageError(message, code, option);
}

/** The check of each option of a call; null for one that is checked where it is used. */
export type OptionChecks<Options> = {
  readonly [Name in keyof Options]-?: OptionCheck<unknown> | null;
};

/**
 * Checks the options of a call: those that are given, and that each of them exists.
 * @throws {UsageError} for a value out of range or an option that does not exist.
 */
export function requireOptions<Options extends object>(
  options: Options,
  checks: OptionChecks<Options>,
): void {
  const known: Readonly<Record<string, OptionCheck<unknown> | null>> = checks;
  for (const [name, value] of Object.entries(options)) {
    const check = known[name];
    if (check === undefined) {
      const names = Object.keys(checks).map(optionName).join(", ");
      throw new UsageError(
        `${optionName(name)}: unknown option. The options are ${names}.`,
        "option-unknown",
        name,
      );
    }
    if (value !== undefined) check?.(value, (expected) => optionError(name, expected, value));
  }
}

/** Makes the error that says what an option expected. */
export type Refuse = (expected: string) => Error;

/** Returns the value that an option has; for anything else it throws what `refuse` makes of what was expected. */
export interface OptionCheck<T> {
  (given: unknown, refuse: Refuse): T;
  /** All values, where they are a few texts. */
  readonly choices?: readonly string[];
}

/** Takes whole numbers from `least` on. */
export function wholeNumber(least: number): OptionCheck<number> {
  return (given, refuse) => {
    if (typeof given === "number" && Number.isSafeInteger(given) && given >= least) return given;
    throw refuse(`a whole number of ${least} or more`);
  };
}

/** Takes finite numbers above 0. */
export const positiveNumber: OptionCheck<number> = (given, refuse) => {
  if (typeof given === "number" && Number.isFinite(given) && given > 0) return given;
  throw refuse("a number above 0");
};

/** Takes numbers from `least` to `most`, both included. */
export function numberBetween(least: number, most: number): OptionCheck<number> {
  return (given, refuse) => {
    if (typeof given === "number" && given >= least && given <= most) return given;
    throw refuse(`a number from ${least} to ${most}`);
  };
}

/** Takes finite numbers of 0 or more. */
export const notNegative: OptionCheck<number> = (given, refuse) => {
  if (typeof given === "number" && Number.isFinite(given) && given >= 0) return given;
  throw refuse("a number of 0 or more");
};

/** Takes a duration, as seconds or as a text such as `90s`, `20m` or `1h30m`, and returns its seconds. */
export const duration: OptionCheck<number> = (given, refuse) => {
  const parts = /^(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?$/.exec(
    String(given).trim(),
  );
  const [hours = 0, minutes = 0, seconds = 0] = (parts ?? []).slice(1).map((part) => Number(part ?? 0));
  const total = 3600 * hours + 60 * minutes + seconds;
  if (parts && Number.isFinite(total) && total > 0) return total;
  throw refuse("a time such as 90s, 20m or 1h30m");
};

/** Takes pixels: one number for a square, or height and width. */
export function imageSides(given: unknown, refuse: Refuse): number | readonly [number, number] {
  const sides: readonly unknown[] = Array.isArray(given) ? given : [given, given];
  if (sides.length === 2 && sides.every((side) => Number.isSafeInteger(side) && Number(side) >= 1)) {
    return given as number | readonly [number, number];
  }
  throw refuse("pixels such as 224, or height and width such as [200, 300]");
}

/** Takes one of a few texts. */
export function oneOf<const T extends string>(...choices: readonly T[]): OptionCheck<T> {
  const check = (given: unknown, refuse: Refuse): T => {
    const choice = choices.find((known) => known === given);
    if (choice !== undefined) return choice;
    throw refuse(`one of ${choices.join(", ")}`);
  };
  return Object.assign(check, { choices });
}

/** Takes any text but an empty one. */
export const someText: OptionCheck<string> = (given, refuse) => {
  if (typeof given === "string" && given.trim() !== "") return given;
  throw refuse("some text");
};

/** Takes true and false. */
export const trueOrFalse: OptionCheck<boolean> = (given, refuse) => {
  if (typeof given === "boolean") return given;
  throw refuse("true or false");
};

/** Takes functions. */
export function aFunction<T>(given: unknown, refuse: Refuse): T {
  if (typeof given === "function") return given as T;
  throw refuse("a function");
}

/** Returns a value as messages show it: short, on one line. */
function valueText(given: unknown): string {
  if (typeof given === "number" || typeof given === "bigint" || given === undefined) return String(given);
  if (typeof given === "function") return "a function";
  const text =
    JSON.stringify(given, (_key, inner) =>
      ArrayBuffer.isView(inner) || typeof inner === "bigint" ? "…" : inner,
    ) ?? String(given);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
