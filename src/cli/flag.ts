import type { OptionCheck, Refuse, RunOption } from "../cli-api.ts";
import { checkOf, defaultOf } from "../cli-api.ts";
import { UsageError } from "../index.ts";

/** Turns the text after a flag into the value that it means, or leaves it as it is for the check to refuse. */
export type ReadText = (text: string, refuse: Refuse) => unknown;

/** A flag of a command. Its name, without dashes, is its key in the command's record of flags. */
export interface Flag<T> {
  /** A value, a value that may be given several times, or a flag without a value. */
  readonly kind: "value" | "list" | "switch";
  readonly help: string;
  /** Heading in the help. */
  readonly group: string;
  /** Name of the value in the help: `N`, `DIR`; empty for a switch. */
  readonly placeholder: string;
  /** The default as the help shows it. */
  readonly otherwise: string | undefined;
  /** All values, where they are a few texts. */
  readonly choices: readonly string[] | undefined;
  /** The option of the API that messages about this flag name. */
  readonly option: string | undefined;
  readonly read: ReadText;
  readonly check: OptionCheck<T>;
}

/** A flag that sets an option of a run, whose check and default it has. */
export interface OptionFlag extends Flag<unknown> {
  readonly option: RunOption;
  /** The value that a switch sets: `--no-exif` sets `exif` to false. */
  readonly sets: boolean | undefined;
}

/** Flags that set options of a run, by name. */
export type OptionFlags = Readonly<Record<string, OptionFlag>>;

/** Returns some of a group's flags. */
export function only(flags: OptionFlags, ...names: readonly string[]): OptionFlags {
  return Object.fromEntries(Object.entries(flags).filter(([name]) => names.includes(name)));
}

/** The flags of a command whose values are V, by name. A flag that was not given is absent from V. */
export type FlagsOf<V> = { readonly [Name in keyof V]-?: Flag<Exclude<V[Name], undefined>> };

interface FlagDetails {
  readonly group?: string;
  readonly read?: ReadText;
  readonly otherwise?: string;
}

const asWritten: ReadText = (text, refuse) => {
  if (text.trim() !== "") return text;
  throw refuse("some text");
};

/** Declares a flag with a value. */
export function value<T>(
  help: string,
  placeholder: string,
  check: OptionCheck<T>,
  { group = "Options", read = asWritten, otherwise, option }: FlagDetails & { readonly option?: string } = {},
): Flag<T> {
  return { kind: "value", help, placeholder, check, group, read, otherwise, option, choices: check.choices };
}

/** Declares a flag that may be given several times, each time with a text of its own. */
export function list(help: string, placeholder: string, group: string): Flag<readonly string[]> {
  const check: OptionCheck<readonly string[]> = (given, refuse) => {
    const texts: readonly unknown[] = Array.isArray(given) ? given : [given];
    if (texts.every((text) => typeof text === "string")) return texts;
    throw refuse("some text, or a list of texts");
  };
  return { ...value(help, placeholder, check, { group, read: (text) => text }), kind: "list" };
}

/** Declares a flag without a value. */
export function flag(help: string, group = "Options"): Flag<boolean> {
  return { ...value(help, "", switchOnly, { group }), kind: "switch" };
}

/** Declares a flag that sets an option of a run. */
export function sets(
  option: RunOption,
  help: string,
  placeholder: string,
  { group = "Options", read = asWritten, otherwise }: FlagDetails = {},
): OptionFlag {
  const check = checkOf(option);
  const shown = otherwise ?? defaultText(defaultOf(option));
  return {
    ...value(help, placeholder, check, { group, read }),
    otherwise: shown,
    option,
    sets: undefined,
  };
}

/** Declares a flag that may be given several times and sets an option of a run to the list of its values. */
export function setsList(
  option: RunOption,
  help: string,
  placeholder: string,
  { group = "Options", read = asWritten, otherwise }: FlagDetails = {},
): OptionFlag {
  const check: OptionCheck<unknown> = (given, refuse) => {
    const items: readonly unknown[] = Array.isArray(given) ? given : [given];
    return checkOf(option)(
      items.map((item) => (typeof item === "string" ? read(item, refuse) : item)),
      refuse,
    );
  };
  const single = sets(option, help, placeholder, {
    group,
    read: (text) => text,
    ...(otherwise && { otherwise }),
  });
  return { ...single, kind: "list", check };
}

/** Declares a flag without a value that sets an option of a run to true, or to false. */
export function switches(option: RunOption, to: boolean, help: string, group: string): OptionFlag {
  return { ...flag(help, group), option, sets: to };
}

const switchOnly: OptionCheck<boolean> = (given, refuse) => {
  if (typeof given === "boolean") return given;
  throw refuse("true or false");
};

function defaultText(otherwise: unknown): string | undefined {
  return typeof otherwise === "number" || (typeof otherwise === "string" && otherwise !== "auto")
    ? String(otherwise)
    : undefined;
}

/**
 * Returns what a flag means: the text that was written, or the value in a config file, read and checked.
 * @throws {UsageError} naming the flag, for a value that it does not take.
 */
export function readFlag<T>(name: string, { read, check, option }: Flag<T>, given: unknown): T {
  const refuse: Refuse = (expected) =>
    new UsageError(
      `--${name}: expected ${expected}, got ${JSON.stringify(given)}.`,
      "flag-value",
      option ?? name,
    );
  return check(typeof given === "string" ? read(given, refuse) : given, refuse);
}
