import type { Progress } from "./progress.ts";
import { createProgress } from "./progress.ts";

/** Where a command writes. With `--json` everything but the document goes to stderr. */
export interface Terminal {
  readonly columns: number;
  /** A line of the result. */
  print(line: string): void;
  /** A line about the work: notes, warnings, what was stopped. Always on stderr. */
  notice(line: string): void;
  /** The one JSON document, where `--json` is given. */
  document(value: unknown): void;
  readonly progress: Progress;
}

/** @param json whether stdout is kept for a JSON document. */
export function createTerminal(json: boolean): Terminal {
  const lines = json ? process.stderr : process.stdout;
  const progress = createProgress({
    write: (text) => process.stderr.write(text),
    interactive: process.stderr.isTTY === true,
    columns: () => process.stderr.columns ?? 80,
    now: () => performance.now(),
  });
  const line = (stream: NodeJS.WriteStream) => (text: string) => {
    progress.clear();
    stream.write(`${text}\n`);
  };
  return {
    columns: process.stdout.columns ?? 80,
    print: line(lines),
    notice: line(process.stderr),
    document: (value) => process.stdout.write(`${JSON.stringify(value, null, 2)}\n`),
    progress,
  };
}

/**
 * Watches for a stdout or stderr that can no longer be written. Nothing that a command computes is lost to it: a reader that goes
 * away ends the command only if it `needsReader`, and anything else, such as a full disk, is said once and makes the exit code 1.
 */
export function watchOutput({ needsReader }: { readonly needsReader: boolean }): void {
  process.stdout.once("error", (error: NodeJS.ErrnoException) => {
    process.stdout.on("error", () => {});
    if (error.code !== "EPIPE") {
      process.exitCode = 1;
      process.stderr.write(`standard output: cannot be written: ${error.message}.\n`);
    } else if (needsReader) process.exit(0);
  });
  // Nobody is left to tell.
  process.stderr.on("error", () => {});
}
