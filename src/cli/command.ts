import type { FinetuneOptions } from "../index.ts";
import type { Flag, FlagsOf, OptionFlag } from "./flag.ts";
import { layersFlag } from "./layer-modules.ts";
import type { Terminal } from "./terminal.ts";

/** Options of a run that flags or a config file set, by the API's names. */
export type GivenOptions = Readonly<Partial<FinetuneOptions>>;

/** The parts of a command line that a command reads. */
export interface Invocation<V> {
  /** The values of the command's own flags, by name. */
  readonly values: V;
  readonly options: GivenOptions;
  readonly positionals: readonly string[];
  /** The command line as it was written, after the command's name. */
  readonly words: readonly string[];
  readonly terminal: Terminal;
  /** Aborted by the first Ctrl-C, if the command is interruptible. */
  readonly signal: AbortSignal;
}

export interface Command<V> {
  readonly name: string;
  /** Usage, without `finetune`: `plan MODEL [freeze flags]`. */
  readonly usage: string;
  readonly summary: string;
  /** Flags that set options of a run. */
  readonly options: Readonly<Record<string, OptionFlag>>;
  /** Flags of the command itself. */
  readonly flags: FlagsOf<V>;
  /** Least and largest number of arguments without a flag. */
  readonly positionals: readonly [least: number, most: number];
  /** True if the first argument is a model, which may be written as `--model` too. */
  readonly takesModel?: boolean;
  readonly examples: readonly (readonly [command: string, does: string])[];
  /** True if the first Ctrl-C only aborts `signal`. */
  readonly interruptible?: boolean;
  readonly run: (invocation: Invocation<V>) => Promise<void>;
}

/** A command whose flags only it knows. */
export type AnyCommand = Command<Record<never, never>>;

/** All commands; the first is meant where none is named. */
export type Commands = readonly [AnyCommand, ...AnyCommand[]];

/**
 * Returns every flag of a command by its name, as they are declared: options of a run first. A command that takes `--arch`
 * reads models, whose custom layers `--layers` makes known.
 */
export function flagsOf(command: AnyCommand): ReadonlyMap<string, Flag<unknown>> {
  return new Map<string, Flag<unknown>>([
    ...Object.entries(command.options),
    ...("arch" in command.options ? Object.entries<Flag<unknown>>(layersFlag) : []),
    ...Object.entries<Flag<unknown>>(command.flags),
  ]);
}

/** Names that may be undefined become optional. */
type Defined<T> = {
  [Name in keyof T as undefined extends T[Name] ? never : Name]: T[Name];
} & {
  [Name in keyof T as undefined extends T[Name] ? Name : never]?: Exclude<T[Name], undefined>;
};

/** Returns the record without the names whose value is undefined. */
export function withoutUndefined<T extends object>(record: T): Defined<T> {
  return Object.fromEntries(Object.entries(record).filter(([, given]) => given !== undefined)) as Defined<T>;
}

/** Returns some of the options, without those that were not given. */
export function picked<const Name extends keyof FinetuneOptions>(
  options: GivenOptions,
  ...names: readonly Name[]
): { readonly [Key in Name]?: Exclude<FinetuneOptions[Key], undefined> } {
  const given = names.filter((name) => options[name] !== undefined);
  return Object.fromEntries(given.map((name) => [name, options[name]])) as ReturnType<typeof picked<Name>>;
}
