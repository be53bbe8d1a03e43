import yargs from "yargs";
import { nearestNames } from "../cli-api.ts";
import { UsageError } from "../index.ts";

import type { Terminal } from "./terminal.ts";
import type { ParseValue } from "./values.ts";

/** A flag of a command, by its name without dashes. */
export interface Flag<T> {
  readonly kind: "value" | "list" | "switch";
  readonly describe: string;
  /** Heading in the help. */
  readonly group: string;
  /** What stands for the value in the help: `N`, `DIR`. */
  readonly placeholder: string;
  readonly parse: ParseValue<T>;
}

/** The flags of a command whose values are V, by name. A flag that was not given is absent from V. */
export type FlagsOf<V> = { readonly [Name in keyof V]-?: Flag<Exclude<V[Name], undefined>> };

/** What a command is called with. */
export interface Invocation<V> {
  readonly values: V;
  readonly positionals: readonly string[];
  readonly terminal: Terminal;
  /** Aborted by the first Ctrl-C of an interruptible command. */
  readonly signal: AbortSignal;
}

export interface Command<V> {
  /** Empty for the default. */
  readonly name: string;
  readonly usage: string;
  readonly summary: string;
  readonly flags: FlagsOf<V>;
  /** How many arguments without a flag it takes. */
  readonly positionals: readonly [least: number, most: number];
  readonly examples: readonly (readonly [command: string, does: string])[];
  /** Whether the first Ctrl-C only aborts `signal`. */
  readonly interruptible?: boolean;
  readonly run: (invocation: Invocation<V>) => Promise<void>;
}

export function value<T>(
  describe: string,
  placeholder: string,
  parse: ParseValue<T>,
  group = "Options",
): Flag<T> {
  return { kind: "value", describe, group, placeholder, parse };
}

/** May be repeated; each value on its own. */
export function list(describe: string, placeholder: string, group = "Options"): Flag<readonly string[]> {
  return { kind: "list", describe, group, placeholder, parse: (text) => [text] };
}

export function flag(describe: string, group = "Options"): Flag<boolean> {
  return { kind: "switch", describe, group, placeholder: "", parse: () => true };
}

/**
 * The flags and arguments among `tokens`, every one checked.
 * @throws {UsageError} for an unknown flag, a flag given twice, a missing, unexpected or wrong value, or too many arguments.
 */
export function parseTokens<V>(
  command: Command<V>,
  tokens: readonly string[],
): { readonly values: V; readonly positionals: readonly string[] } {
  const flags = Object.entries<Flag<unknown>>(command.flags);
  checkFlags(new Map(flags), tokens);
  const parsed = parser(flags, tokens).parseSync() as Record<string, unknown>;
  const values: Record<string, unknown> = {};
  for (const [name, { kind, parse }] of flags) {
    const given = parsed[name];
    if (given === undefined) continue;
    const texts = (Array.isArray(given) ? given : [given]).map(String);
    const results = texts.map((text) => parse(text, `--${name}`));
    values[name] = kind === "list" ? results.flat() : results[0];
  }
  const positionals = (parsed["_"] as readonly unknown[]).map(String);
  checkPositionals(command, positionals);
  return { values: values as V, positionals };
}

function parser(
  flags: readonly (readonly [string, Flag<unknown>])[],
  tokens: readonly string[],
): ReturnType<typeof yargs> {
  const instance = yargs([...tokens])
    .help(false)
    .version(false)
    .exitProcess(false)
    .parserConfiguration({
      "boolean-negation": false,
      "camel-case-expansion": false,
      "dot-notation": false,
      "greedy-arrays": false,
      "parse-numbers": false,
      "parse-positional-numbers": false,
      "short-option-groups": false,
    })
    .fail((message, error) => {
      throw error ?? new UsageError(message, "usage");
    });
  for (const [name, { kind }] of flags) {
    if (kind === "switch") instance.boolean(name);
    else instance.string(name).requiresArg(name);
  }
  return instance;
}

/** Refuses what is no flag of the command, is given too often, or has or lacks a value, before any value is read. */
function checkFlags(flags: ReadonlyMap<string, Flag<unknown>>, tokens: readonly string[]): void {
  const given = new Set<string>();
  for (let index = 0; index < tokens.length && tokens[index] !== "--"; index++) {
    const token = tokens[index]!;
    if (!/^-./.test(token)) continue;
    const [written, ...rest] = token.split("=");
    const name = written!.replace(/^--?/, "");
    const found = written!.startsWith("--") ? flags.get(name) : undefined;
    if (!found) throw unknownFlag(written!, [...flags.keys()]);
    if (given.has(name) && found.kind !== "list") {
      throw new UsageError(`${written}: expected once, got it again. Give it once.`, "flag-repeated");
    }
    given.add(name);
    const next = tokens[index + 1];
    if (found.kind === "switch") {
      const value = rest.length > 0 ? rest.join("=") : next;
      if (rest.length === 0 && value !== "true" && value !== "false") continue;
      throw new UsageError(`${written}: expected no value, got ${JSON.stringify(value)}.`, "flag-value");
    }
    if (rest.length > 0) continue;
    if (next === undefined || /^-[^0-9]/.test(next)) throw missingValue(written!, found);
    index++;
  }
}

function missingValue(written: string, { placeholder }: Flag<unknown>): UsageError {
  return new UsageError(
    `${written}: expected a value, got none. Write ${written} ${placeholder}.`,
    "flag-without-value",
  );
}

function unknownFlag(written: string, known: readonly string[]): UsageError {
  const [near] = nearestNames(written.replace(/^-+/, ""), known, 1);
  const hint = near ? `Did you mean --${near}?` : "--help lists the flags.";
  return new UsageError(`${written}: unknown flag. ${hint}`, "flag-unknown");
}

function checkPositionals(
  command: { readonly usage: string; readonly positionals: readonly [number, number] },
  positionals: readonly string[],
): void {
  const [least, most] = command.positionals;
  if (positionals.length < least) {
    throw new UsageError(
      `finetune ${command.usage}: expected ${least} argument${least === 1 ? "" : "s"}, got ${positionals.length}. --help says more.`,
      "argument-missing",
    );
  }
  if (positionals.length > most) {
    throw new UsageError(
      `${JSON.stringify(positionals[most])}: expected no further argument. Usage: finetune ${command.usage}`,
      "argument-unexpected",
    );
  }
}
