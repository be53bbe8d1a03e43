import type { Command, Flag } from "./command.ts";

/** A command's help: usage, flags by group, examples; no line longer than `width`. */
export function helpText<V>({ usage, summary, flags, examples }: Command<V>, width: number): string {
  const all = Object.entries<Flag<unknown>>(flags);
  const groups = [...new Set(all.map(([, { group }]) => group))];
  const blocks = groups.map((group) => [
    `${group}:`,
    ...aligned(
      all
        .filter(([, flag]) => flag.group === group)
        .map(([name, flag]) => [written(name, flag), flag.describe]),
      width,
    ),
  ]);
  const shown = examples.flatMap(([example, does]) => [`  finetune ${example}`, `      ${does}`]);
  return [
    [`finetune ${usage}`],
    wrapped(summary, width),
    ...blocks,
    ...(shown.length > 0 ? [["Examples:", ...shown]] : []),
  ]
    .map((lines) => lines.join("\n"))
    .join("\n\n");
}

function written(name: string, { placeholder }: Flag<unknown>): string {
  return placeholder ? `--${name} ${placeholder}` : `--${name}`;
}

/** Two columns, the second wrapped between words. */
function aligned(rows: readonly (readonly [string, string])[], width: number): string[] {
  const first = Math.max(...rows.map(([flag]) => flag.length)) + 4;
  return rows.flatMap(([flag, text]) =>
    wrapped(text, Math.max(20, width - first)).map((line, index) =>
      index === 0 ? `  ${flag}`.padEnd(first) + line : " ".repeat(first) + line,
    ),
  );
}

function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line ? `${line} ${word}` : word;
  }
  return [...lines, line];
}
