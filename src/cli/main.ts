import { readFileSync } from "node:fs";
import { spellOptions } from "../cli-api.ts";
import type { Call, Request } from "./command-line.ts";
import { printCompletionScript, readCommandLine } from "./command-line.ts";
import { commands, flagSpelling } from "./commands.ts";
import { failureOf, Interrupted } from "./failure.ts";
import { fullHelp, helpText, shortStart } from "./help.ts";
import { onFirstSignal } from "./signals.ts";
import { createTerminal, watchOutput } from "./terminal.ts";

spellOptions(flagSpelling);
const exitCode = await main(process.argv.slice(2));
process.exitCode = exitCode || process.exitCode;

/** Does what `tokens` ask for and returns the exit code. */
async function main(tokens: readonly string[]): Promise<number> {
  const request = requestOf(tokens);
  if (typeof request === "number") return request;
  switch (request.kind) {
    case "call":
      return run(request.call);
    case "completion":
      printCompletionScript();
      return 0;
    case "help":
    case "text": {
      watchOutput({ needsReader: true });
      process.stdout.write(`${textOf(request)}\n`);
      return 0;
    }
  }
}

/** Returns the exit code of a command line that cannot be read, once it is said why. */
function requestOf(tokens: readonly string[]): Request | number {
  if (tokens.length === 0) return { kind: "text", text: shortStart };
  try {
    return readCommandLine(commands, tokens, version());
  } catch (error) {
    const failure = failureOf(error);
    process.stderr.write(`${failure.message}\n`);
    return failure.exitCode;
  }
}

function textOf(request: Extract<Request, { kind: "help" | "text" }>): string {
  if (request.kind === "text") return request.text;
  const width = Math.min(process.stdout.columns ?? 100, 110);
  return request.command ? helpText(request.command, width) : fullHelp(commands, width);
}

async function run({ command, values, options, positionals }: Call): Promise<number> {
  watchOutput({ needsReader: !command.interruptible });
  const json = "json" in values;
  const terminal = createTerminal(json);
  if (json) console.log = console.error;
  const controller = new AbortController();
  onFirstSignal((exitCode) => {
    if (!command.interruptible) process.exit(exitCode);
    controller.abort(new Interrupted("Stopped.", exitCode));
    terminal.notice("Stopping after this step. Press Ctrl-C again to leave at once.");
  });
  try {
    await command.run({ values, options, positionals, terminal, signal: controller.signal });
    return 0;
  } catch (error) {
    const failure = failureOf(error);
    terminal.notice(failure.message);
    return failure.exitCode;
  } finally {
    terminal.progress.clear();
  }
}

function version(): string {
  const manifest = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}
