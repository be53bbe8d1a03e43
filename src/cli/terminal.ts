import type { Progress } from "./progress.ts";
import { createProgress } from "./progress.ts";
import type { WorkData } from "./thread-messages.ts";

/** Output of a command. With `--json` everything but the document goes to stderr. */
export interface Terminal {
  readonly columns: number;
  /** Writes a line of the result. */
  print(line: string): void;
  /** Writes a line about the work: notes, warnings, what was stopped. Always on stderr. */
  notice(line: string): void;
  /** Writes the one JSON document, where `--json` is given. */
  document(value: unknown): void;
  /** Writes a line of the output that other programs read. */
  record(line: string): void;
  readonly progress: Progress;
}

interface TerminalOptions extends Pick<WorkData, "columns" | "isTerminal"> {
  /** True if stdout is kept for what other programs read. */
  readonly json: boolean;
}

export function createTerminal({ json, isTerminal, columns }: TerminalOptions): Terminal {
  const lines = json ? process.stderr : process.stdout;
  const progress = createProgress({
    write: (text) => process.stderr.write(text),
    interactive: isTerminal,
    columns: () => columns[1] || 80,
    now: () => performance.now(),
  });
  const line = (stream: NodeJS.WriteStream) => (text: string) => {
    progress.clear();
    stream.write(`${text}\n`);
  };
  return {
    columns: columns[0] || 80,
    print: line(lines),
    notice: line(process.stderr),
    document: (value) => process.stdout.write(`${JSON.stringify(value, null, 2)}\n`),
    record: (text) => void process.stdout.write(`${text}\n`),
    progress,
  };
}
