import type { Paint } from "./paint.ts";
import { painter } from "./paint.ts";
import type { Progress } from "./progress.ts";
import { createProgress } from "./progress.ts";
import type { WorkData } from "./thread-messages.ts";

/** Output of a command. With `--json` everything but the document goes to stderr. */
export interface Terminal {
  readonly columns: number;
  /** Writes a line of the result. */
  print(line: string): void;
  /** Writes a line about the work, which `--quiet` leaves out: the plan, epochs. */
  tell(line: string): void;
  /** Writes a line that a person should read: warnings, what was stopped. Always on stderr. */
  notice(line: string): void;
  /** Writes a line on stderr that `--quiet` leaves out. */
  hint(line: string): void;
  /** Colors of the lines that `print` and `tell` write. */
  readonly paint: Paint;
  /** Writes the one JSON document, where `--json` is given. */
  document(value: unknown): void;
  /** Writes a line of the output that other programs read. */
  record(line: string): void;
  readonly progress: Progress;
}

interface TerminalOptions extends Pick<WorkData, "columns" | "isTerminal"> {
  readonly isOutputTerminal?: boolean | undefined;
  readonly colors?: WorkData["colors"] | undefined;
  readonly quiet?: boolean;
  /** True if stdout is kept for what other programs read. */
  readonly json: boolean;
}

export function createTerminal({
  json,
  quiet = false,
  isTerminal,
  isOutputTerminal = false,
  colors,
  columns,
}: TerminalOptions): Terminal {
  const lines = json ? process.stderr : process.stdout;
  const [paint, paintNotice] = [
    painter(colors?.[json ? "stderr" : "stdout"] ?? false),
    painter(colors?.stderr ?? false),
  ];
  // Two streams may arrive in another order than they were written: what clears a line must not come behind what stands there next.
  const drawn = isTerminal && isOutputTerminal ? lines : process.stderr;
  const progress = createProgress({
    write: (text) => drawn.write(text),
    interactive: isTerminal,
    columns: () => columns[drawn === process.stdout ? 0 : 1] || 80,
    now: () => performance.now(),
    isShown: !quiet,
    hasBlocks: showsBlocks(process.env),
    paint: drawn === lines ? paint : paintNotice,
  });
  const line = (stream: NodeJS.WriteStream) => (text: string) => {
    progress.clear();
    stream.write(`${text}\n`);
  };
  return {
    columns: columns[0] || 80,
    print: line(lines),
    tell: quiet ? () => {} : line(lines),
    notice: (text) => line(process.stderr)(text.replace(/^warning:/, (word) => paintNotice("yellow", word))),
    hint: quiet ? () => {} : line(process.stderr),
    paint,
    document: (value) => process.stdout.write(`${JSON.stringify(value, null, 2)}\n`),
    record: line(process.stdout),
    progress,
  };
}

/** Tells if texts are in UTF-8, and not on a console whose font has no block elements. */
function showsBlocks({ LC_ALL, LC_CTYPE, LANG, TERM }: NodeJS.ProcessEnv): boolean {
  if (process.platform === "win32") return true;
  return TERM !== "linux" && TERM !== "dumb" && /utf-?8/i.test(LC_ALL || LC_CTYPE || LANG || "");
}
