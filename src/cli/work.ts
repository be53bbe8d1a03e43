/** The thread that does what the command line asks for. */
import { readFileSync } from "node:fs";
import { workerData } from "node:worker_threads";
import { endStage, onUnfinished, spellOptions } from "../cli-api.ts";
import type { Call, Request } from "./command-line.ts";
import { printCompletionScript, readCommandLine } from "./command-line.ts";
import { commands, flagSpelling } from "./commands.ts";
import { failureOf, Interrupted } from "./failure.ts";
import { fullHelp, helpText, shortStart } from "./help.ts";
import { registerLayersOf } from "./layer-modules.ts";
import { createTerminal } from "./terminal.ts";
import type { FromWork, ToWork, WorkData } from "./thread-messages.ts";

const { columns, isTerminal, isOutputTerminal, colors, port } = workerData as WorkData;

endStage("modules");
spellOptions(flagSpelling);
process.exitCode = await main(process.argv.slice(2));
port.close();

/** Does what `tokens` ask for and returns the exit code. */
async function main(tokens: readonly string[]): Promise<number> {
  const request = requestOf(tokens);
  if (typeof request === "number") return request;
  if (request.kind === "call") return run(request.call);
  if (request.kind === "completion") printCompletionScript();
  else process.stdout.write(`${textOf(request)}\n`);
  return 0;
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
  const width = Math.min(columns[0] || 100, 110);
  return request.command ? helpText(request.command, width) : fullHelp(commands, width);
}

async function run({ command, values, options, positionals, words }: Call): Promise<number> {
  const json = ["json", "jsonl", "csv"].some((name) => name in values);
  const terminal = createTerminal({
    json,
    quiet: "quiet" in values,
    isTerminal,
    isOutputTerminal,
    colors,
    columns,
  });
  if (json) console.log = console.error;
  const controller = new AbortController();
  const tell = (message: FromWork): void => port.postMessage(message);
  port.on("message", (message: ToWork) => {
    if (message.kind === "leave") process.exit(0);
    controller.abort(new Interrupted("Stopped.", message.exitCode));
  });
  port.unref();
  onUnfinished((path, state) => tell({ kind: "unfinished", path, state }));
  tell({ kind: "runs", interruptible: command.interruptible === true });
  try {
    if ("layers" in values) await registerLayersOf(values.layers as readonly string[]);
    await command.run({ values, options, positionals, words, terminal, signal: controller.signal });
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
