/** The pages that a user reads, and the code in them. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");

/** Paths of README and the pages of docs/ and examples/, relative to the root; generated pages too. */
export const pages: readonly string[] = [
  "README.md",
  ...["docs", "examples"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .map((name) => `${folder}/${name.replaceAll("\\", "/")}`)
      .filter((path) => path.endsWith(".md"))
      .sort(),
  ),
];

export function pageText(path: string): string {
  return readFileSync(join(root, path), "utf8");
}

export interface Block {
  readonly page: string;
  /** Of its first line in the page, counted from 1. */
  readonly line: number;
  readonly language: string;
  /** The words behind the language; `not-run` marks a block that no test runs. */
  readonly marks: readonly string[];
  readonly lines: readonly string[];
}

/** Every fenced block of a page, in order. */
export function blocksOf(page: string): readonly Block[] {
  const blocks: Block[] = [];
  let open: { line: number; info: string; lines: string[] } | undefined;
  for (const [index, line] of pageText(page).split("\n").entries()) {
    const fence = /^```(.*)$/.exec(line);
    if (!fence) {
      open?.lines.push(line);
    } else if (open) {
      const [language = "", ...marks] = open.info.split(/\s+/);
      blocks.push({ page, line: open.line, language, marks, lines: open.lines });
      open = undefined;
    } else {
      open = { line: index + 2, info: String(fence[1]), lines: [] };
    }
  }
  return blocks;
}

/** The words of a command line; double quotes hold a word together. */
export function wordsOf(command: string): readonly string[] {
  return [...command.matchAll(/"([^"]*)"|(\S+)/g)].map((match) => match[1] ?? String(match[2]));
}

/** Commands of the `sh` blocks that a test runs: a line each, one that ends in a backslash goes on. */
export function commandsOf(page: string): readonly { readonly place: string; readonly command: string }[] {
  return blocksOf(page)
    .filter(({ language, marks }) => language === "sh" && !marks.includes("not-run"))
    .flatMap(({ line, lines }) =>
      lines
        .join("\n")
        .replace(/\\\n\s*/g, "")
        .split("\n")
        .filter((command) => command.trim() !== "" && !command.startsWith("#"))
        .map((command) => ({ place: `${page}:${line}`, command })),
    );
}
