import { readFileSync } from "node:fs";
import { nearestNames, spellOptions } from "../cli-api.ts";
import type { Command } from "./command.ts";
import { parseTokens } from "./command.ts";
import { namedCommands } from "./commands.ts";
import { failureOf, Interrupted } from "./failure.ts";
import { helpText } from "./help.ts";
import { watchOutput } from "./output.ts";
import { onFirstSignal } from "./signals.ts";
import { createTerminal } from "./terminal.ts";
import { trainCommand } from "./train.ts";

/** Options that have another name as a flag. */
const flagNames: Readonly<Record<string, string>> = {
  learningRate: "lr",
  outputFormat: "format",
  outputKeras: "keras",
};

const flagOf = (option: string): string =>
  `--${flagNames[option] ?? option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

spellOptions({
  name: flagOf,
  assigned: (option, value) => {
    if (value === false) return `--no-${flagOf(option).slice(2)}`;
    return value === true ? flagOf(option) : `${flagOf(option)} ${value}`;
  },
  policy: (name, argument) =>
    argument === undefined ? flagOf(name) : `${flagOf(name)} ${JSON.stringify(argument)}`,
});

const exitCode = await main(process.argv.slice(2));
process.exitCode = exitCode || process.exitCode;

/** Runs the command that `tokens` name and returns the exit code. */
async function main(tokens: readonly string[]): Promise<number> {
  const [first = "--help"] = tokens;
  const found = namedCommands.find(({ name }) => name === first);
  if (found) return runCommand(found, tokens.slice(1));
  if (first.startsWith("-")) return runCommand(trainCommand, tokens.length > 0 ? tokens : [first]);
  const names = namedCommands.map(({ name }) => name);
  const [near] = nearestNames(first, names, 1);
  const hint = near ? `Did you mean ${near}?` : `The commands are ${names.join(", ")}.`;
  process.stderr.write(`${JSON.stringify(first)}: unknown command. ${hint}\n`);
  return 2;
}

async function runCommand<V>(command: Command<V>, tokens: readonly string[]): Promise<number> {
  watchOutput({ needsReader: !command.interruptible });
  const options = tokens.includes("--") ? tokens.slice(0, tokens.indexOf("--")) : tokens;
  if (options.includes("--help") || options.includes("-h")) {
    process.stdout.write(
      `${helpText(command, Math.min(terminalWidth(), 110))}\n${command.name ? "" : commandList()}`,
    );
    return 0;
  }
  if (options.includes("--version")) {
    process.stdout.write(`${version()}\n`);
    return 0;
  }
  const json = options.includes("--json");
  const terminal = createTerminal(json);
  if (json) console.log = console.error;
  const controller = new AbortController();
  onFirstSignal((exitCode) => {
    if (!command.interruptible) process.exit(exitCode);
    controller.abort(new Interrupted("Stopped.", exitCode));
    terminal.notice("Stopping after this step. Press Ctrl-C again to leave at once.");
  });
  try {
    const { values, positionals } = parseTokens(command, tokens);
    await command.run({ values, positionals, terminal, signal: controller.signal });
    return 0;
  } catch (error) {
    const failure = failureOf(error);
    terminal.notice(failure.message);
    return failure.exitCode;
  } finally {
    terminal.progress.clear();
  }
}

function commandList(): string {
  const rows = namedCommands.map(({ usage, summary }) => `  finetune ${usage}\n      ${summary}`);
  const codes = "0 done, 2 the command line, 1 a file, the data or the machine, 130 Ctrl-C";
  return `\nOther commands, each with its own --help:\n${rows.join("\n")}\n\nExit codes: ${codes}.\n`;
}

function terminalWidth(): number {
  return process.stdout.columns ?? 100;
}

function version(): string {
  const manifest = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}
