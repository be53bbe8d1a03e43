/** Figures of tests: told as they are found, and put into docs/reliability.md where FIGURES is set. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const page = join(import.meta.dirname, "..", "..", "docs", "reliability.md");

/** Tells what a fault left on the engine at hand, and puts it into the table of `npm run test:faults`. */
export function keepFigure(what: string, command: string, figure: string): void {
  const engine = process.env["KERAS_FINETUNE_ENGINE"] ?? "wasm";
  keepRow("faults", [what, engine], [`\`${command}\``, figure]);
}

/** Puts a row into a table of the page, in place of the one that begins with the same cells. */
export function keepRow(table: "faults" | "hostile", key: readonly string[], cells: readonly string[]): void {
  console.info(`${key.join(", ")}: ${cells.join(", ")}`);
  if (!process.env["FIGURES"]) return;
  const [opening, closing] = [`<!-- figures of test:${table} -->`, `<!-- end of test:${table} -->`];
  const text = readFileSync(page, "utf8");
  const [start, end] = [text.indexOf(opening), text.indexOf(closing)];
  if (start < 0 || end < 0) throw new Error(`${page}: no place for figures of test:${table}`);
  const [head = "", line = "", ...rows] = text
    .slice(start + opening.length, end)
    .trim()
    .split("\n");
  const own = `| ${key.join(" | ")} |`;
  const others = rows.filter((row) => !row.startsWith(own));
  const all = [head, line, ...[...others, `${own} ${cells.join(" | ")} |`].sort()];
  writeFileSync(page, `${text.slice(0, start)}${opening}\n${all.join("\n")}\n${text.slice(end)}`);
}
