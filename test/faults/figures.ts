/** Figures of the fault tests: told as they are found, and put into docs/reliability.md where FIGURES is set. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { engine, root } from "./command.ts";

const page = join(root, "docs", "reliability.md");

/** Tells a figure, `what` on the engine at hand, and puts it into its row of the page's table. */
export function keepFigure(what: string, command: string, figure: string): void {
  console.info(`${what} (${engine}): ${figure}`);
  if (!process.env["FIGURES"]) return;
  const row = `| ${what} | ${engine} | \`${command}\` | ${figure} |`;
  const text = readFileSync(page, "utf8");
  const start = text.indexOf("<!-- figures of test:faults -->");
  const end = text.indexOf("<!-- end of figures -->");
  if (start < 0 || end < 0) throw new Error(`${page}: no place for figures`);
  const [, head = "", line = "", ...rows] = text.slice(start, end).trimEnd().split("\n");
  const key = `| ${what} | ${engine} |`;
  const others = rows.filter((each) => !each.startsWith(key) && each.trim() !== "");
  const table = [head, line, ...[...others, row].sort()].join("\n");
  writeFileSync(page, `${text.slice(0, start)}<!-- figures of test:faults -->\n${table}\n${text.slice(end)}`);
}
