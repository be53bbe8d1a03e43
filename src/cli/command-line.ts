import yargs from "yargs";
import { nearestNames } from "../cli-api.ts";
import { UsageError } from "../index.ts";
import type { AnyCommand, Commands, GivenOptions } from "./command.ts";
import { flagsOf } from "./command.ts";
import { readConfigFile } from "./config-file.ts";
import type { Flag } from "./flag.ts";
import { readFlag } from "./flag.ts";
import { commandElsewhere, flagMeant } from "./other-names.ts";

/** A command line that calls a command. */
export interface Call {
  readonly command: AnyCommand;
  readonly values: Record<never, never>;
  readonly options: GivenOptions;
  readonly positionals: readonly string[];
  /** The words after the command's name. */
  readonly words: readonly string[];
}

/** Request of a command line: to run a command, or to print a text about commands. */
export type Request =
  | { readonly kind: "call"; readonly call: Call }
  /** The help of one command, or of all. */
  | { readonly kind: "help"; readonly command: AnyCommand | undefined }
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "completion" };

/** Flags that set the same thing: where the command line has one of them, a config file's others give way. */
const alternatives: readonly (readonly string[])[] = [
  ["freeze-until", "freeze-through", "freeze-depth", "freeze-all-but-head"],
  ["cache", "no-cache"],
  ["report", "no-report"],
];

type Parser = ReturnType<typeof yargs>;

/**
 * Reads a command line. Without the name of a command it is one of the first command, `train`.
 * @throws {UsageError} for an unknown command or flag, a flag given twice, a missing, unexpected or wrong value, or too many arguments.
 */
export function readCommandLine(commands: Commands, tokens: readonly string[], version: string): Request {
  const given = withCommand(tokens, commands[0].name);
  let called: AnyCommand | undefined;
  let config: Readonly<Record<string, unknown>> = {};
  let failure: UsageError | undefined;
  const parser = plainParser(version).fail((message, error) => {
    throw failure ?? failureOf(message, error, called ?? commands[0], given);
  });
  for (const command of commands) {
    parser.command(
      command.name,
      command.summary,
      (own) => {
        called = command;
        declareFlags(own, command, given.includes("--get-yargs-completions"));
        own.nargs("config", 1).config("config", (path) => {
          try {
            config = configOf(path, command, given);
          } catch (error) {
            failure = error as UsageError;
            throw error;
          }
          return config;
        });
      },
      () => {},
    );
  }
  parser.command("help", "Print the help of a command");
  let output = "";
  const argv = parser.parseSync([...given], {}, (_error, _argv, text) => {
    output = text;
  }) as Readonly<Record<string, unknown>>;
  const words = (argv["_"] as readonly unknown[]).map(String);
  if (words[0] === "completion") return { kind: "completion" };
  if (argv["version"] === true || given.includes("--get-yargs-completions"))
    return { kind: "text", text: output };
  if (words[0] === "help")
    return { kind: "help", command: words[1] === undefined ? undefined : named(commands, words[1]) };
  if (output !== "") return { kind: "help", command: called };
  if (!called) throw unknownCommand(words[0] ?? "", commands);
  return { kind: "call", call: callOf(called, argv, config, words.slice(1), given.slice(1)) };
}

/** Prints the script that a shell loads to complete commands and flags. */
export function printCompletionScript(): void {
  plainParser("").showCompletionScript();
}

/** Puts the name of the command in front of flags alone, also where a shell asks how to complete them. */
function withCommand(tokens: readonly string[], name: string): readonly string[] {
  const [first = "", program = "", next] = tokens;
  if (first === "--get-yargs-completions") {
    return next?.startsWith("-") ? [first, program, name, ...tokens.slice(2)] : tokens;
  }
  return first.startsWith("-") && !["--help", "-h", "--version"].includes(first) ? [name, ...tokens] : tokens;
}

function plainParser(version: string): Parser {
  return yargs()
    .scriptName("finetune")
    .locale("en")
    .exitProcess(false)
    .strictOptions()
    .help("help", "Print this help")
    .alias("help", "h")
    .version(version)
    .completion("completion", "Print a script that completes commands and flags in a shell")
    .parserConfiguration({
      "boolean-negation": false,
      "camel-case-expansion": false,
      "dot-notation": false,
      "greedy-arrays": false,
      "parse-numbers": false,
      "parse-positional-numbers": false,
      "short-option-groups": false,
    })
    .updateStrings({
      "Not enough arguments following: %s": "value-missing %s",
      "Argument unexpected for: %s": "value-unexpected %s",
      "Unknown argument: %s": { one: "unknown %s", other: "unknown %s" } as unknown as string,
    });
}

/** Declares a command's flags. Only a shell that completes sees their texts: yargs lays out its own help, which nobody reads, for all others. */
function declareFlags(parser: Parser, command: AnyCommand, completes: boolean): void {
  for (const [name, { kind, help, choices }] of flagsOf(command)) {
    parser.option(name, {
      nargs: kind === "switch" ? 0 : 1,
      ...(completes ? { describe: help, ...(choices && { choices }) } : { hidden: true }),
    });
  }
}

function configOf(
  path: string,
  command: AnyCommand,
  tokens: readonly string[],
): Readonly<Record<string, unknown>> {
  const written = (name: string) =>
    tokens.some((token) => token === `--${name}` || token.startsWith(`--${name}=`));
  const entries = Object.entries(readConfigFile(path, flagsOf(command)));
  return Object.fromEntries(
    entries.filter(([name]) => !(alternatives.find((names) => names.includes(name)) ?? [name]).some(written)),
  );
}

function callOf(
  command: AnyCommand,
  argv: Readonly<Record<string, unknown>>,
  config: Readonly<Record<string, unknown>>,
  unnamed: readonly string[],
  words: readonly string[],
): Call {
  const values: Record<string, unknown> = {};
  const options: Record<string, unknown> = {};
  for (const [name, flag] of flagsOf(command)) {
    if (argv[name] === undefined) continue;
    const value = flagValue(name, flag, name in config ? config[name] : argv[name], name in config);
    if (value === undefined) continue;
    values[name] = value;
    const setting = command.options[name];
    if (setting) options[setting.option] = setting.sets ?? value;
  }
  const model = command.takesModel ? values["model"] : undefined;
  const positionals = model === undefined ? unnamed : [String(model), ...unnamed];
  checkPositionals(command, positionals);
  return { command, values, options, positionals, words };
}

/** Returns undefined for a switch that a config file turns off. */
function flagValue(name: string, flag: Flag<unknown>, given: unknown, fromConfig: boolean): unknown {
  if (Array.isArray(given) && flag.kind !== "list" && !fromConfig) {
    throw new UsageError(
      `--${name}: expected once, got it again. Give it once.`,
      "flag-repeated",
      flag.option,
    );
  }
  const value = readFlag(name, flag, given);
  return flag.kind === "switch" && value === false ? undefined : value;
}

/** Returns the error for what yargs refuses, in our words. */
function failureOf(message: string, error: Error, command: AnyCommand, tokens: readonly string[]): Error {
  const [, kind, rest = ""] = /^(value-missing|value-unexpected|unknown) (.*)$/s.exec(message) ?? [];
  const flags = flagsOf(command);
  if (kind === undefined) return error ?? new UsageError(message, "usage");
  if (kind === "unknown") return unknownFlag(rest.replace(/, .*$/s, ""), flags, tokens);
  const flag = flags.get(rest);
  if (kind === "value-missing") {
    const placeholder = flag?.placeholder ?? "FILE";
    return new UsageError(
      `--${rest}: expected a value, got none. Write --${rest} ${placeholder}.`,
      "flag-without-value",
      flag?.option,
    );
  }
  const written = tokens.find((token) => token.startsWith(`--${rest}=`)) ?? "";
  const got = JSON.stringify(written.slice(rest.length + 3));
  return new UsageError(`--${rest}: expected no value, got ${got}.`, "flag-value", flag?.option);
}

function unknownFlag(
  name: string,
  flags: ReadonlyMap<string, Flag<unknown>>,
  tokens: readonly string[],
): UsageError {
  const short = tokens.some((token) => token === `-${name}` || token.startsWith(`-${name}=`));
  const written = short ? `-${name}` : `--${name}`;
  const near = flagMeant(name, flags, ["config", "help", "version"]);
  const hint = near ? `Did you mean --${near}?` : "--help lists the flags.";
  return new UsageError(`${written}: unknown flag. ${hint}`, "flag-unknown");
}

function named(commands: readonly AnyCommand[], name: string): AnyCommand {
  const found = commands.find((command) => command.name === name);
  if (found) return found;
  throw unknownCommand(name, commands);
}

function unknownCommand(name: string, commands: readonly AnyCommand[]): UsageError {
  const names = commands.map((command) => command.name);
  const near = commandElsewhere(name) ?? nearestNames(name, names, 1)[0];
  const hint = near ? `Did you mean ${near}?` : `The commands are ${names.join(", ")}.`;
  return new UsageError(`${JSON.stringify(name)}: unknown command. ${hint}`, "command-unknown");
}

function checkPositionals({ usage, positionals: [least, most] }: AnyCommand, words: readonly string[]): void {
  if (words.length < least) {
    throw new UsageError(
      `finetune ${usage}: expected ${least} argument${least === 1 ? "" : "s"}, got ${words.length}. --help says more.`,
      "argument-missing",
    );
  }
  if (words.length > most) {
    throw new UsageError(
      `${JSON.stringify(words[most])}: expected no further argument. Usage: finetune ${usage}`,
      "argument-unexpected",
    );
  }
}
