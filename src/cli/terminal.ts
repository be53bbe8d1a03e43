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
