import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, test } from "vitest";
import { blocksOf, commandsOf, pages, pageText } from "./docs-blocks.ts";

const root = join(import.meta.dirname, "..");
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  readonly files: readonly string[];
  readonly scripts: Readonly<Record<string, string>>;
};
/** What npm ships without being told. */
const always = ["README.md", "LICENSE", "package.json"];

/** The headings of a page as links name them; one that comes again gets a number. */
function anchorsOf(page: string): readonly string[] {
  const seen = new Map<string, number>();
  return [...pageText(page).matchAll(/^#+ (.*)$/gm)].map((match) => {
    const slug = String(match[1])
      .toLowerCase()
      .replace(/[^\w\- ]/g, "")
      .replaceAll(" ", "-");
    const count = seen.get(slug) ?? 0;
    seen.set(slug, count + 1);
    return count === 0 ? slug : `${slug}-${count}`;
  });
}

describe("README and docs", () => {
  /** A page without its code, where brackets before parentheses are no links. */
  const proseOf = (page: string): string =>
    pageText(page)
      .replaceAll(/^```.*?^```$/gms, "")
      .replaceAll(/`[^`\n]*`/g, "");

  test("every link leads to a file that the tarball has, and to a heading that is there", () => {
    const dead = pages.flatMap((page) =>
      [...proseOf(page).matchAll(/\]\(([^)\s]+)\)/g)]
        .map((match) => String(match[1]))
        .filter((target) => !/^https?:/.test(target))
        .filter((target) => {
          const [path = "", anchor] = target.split("#");
          const file = path === "" ? page : normalize(join(dirname(page), path)).replaceAll("\\", "/");
          const isShipped = [...always, ...manifest.files].some((name) =>
            name.endsWith("/*.md")
              ? dirname(file) === dirname(name) && file.endsWith(".md")
              : file === name || file.startsWith(`${name}/`),
          );
          return !existsSync(join(root, file)) || !isShipped || (anchor && !anchorsOf(file).includes(anchor));
        })
        .map((target) => `${page}: ${target}`),
    );
    expect(dead).toEqual([]);
  });

  test("README names every page of docs", () => {
    const readme = pageText("README.md");
    expect(pages.filter((page) => page !== "README.md" && !readme.includes(`](${page})`))).toEqual([]);
  });

  test("every block has a language, and those that no test runs are marked or are output", () => {
    const blocks = pages.flatMap(blocksOf);
    const known = ["sh", "ts", "html", "python", "json", "yaml", "console", "csv", "text"];
    const strange = blocks.filter(({ language }) => !known.includes(language));
    expect(strange.map(({ page, line }) => `${page}:${line}`)).toEqual([]);
    const unmarked = blocks.filter(
      ({ language, marks }) => language === "python" && !marks.includes("not-run"),
    );
    expect(unmarked.map(({ page, line }) => `${page}:${line}`)).toEqual([]);
  });

  test("every command is one of the program, or a script of package.json", () => {
    const commands = pages.flatMap(commandsOf);
    expect(commands.length).toBeGreaterThan(10);
    const others = commands.filter(({ command }) => !command.startsWith("finetune "));
    for (const { place, command } of others) {
      const [, script] = /^npm ci && npm (?:run )?([\w:]+)$/.exec(command) ?? [];
      expect(Object.keys(manifest.scripts), `${place}: ${command}`).toContain(script);
    }
  });

  test("README has the two commands that do everything in a fresh clone", () => {
    expect(commandsOf("README.md").map(({ command }) => command)).toContain("npm ci && npm run demo");
    expect(pageText("CONTRIBUTING.md")).toContain("npm ci && npm test");
  });

  test("docs/commands.md and docs/kerashub.md are what the declarations of commands, flags and classes say", () => {
    const check = ["scripts/docs.mjs", "commands", "kerashub", "--check"];
    const { status, stderr } = spawnSync(process.execPath, check, { cwd: root, encoding: "utf8" });
    expect([status, stderr]).toEqual([0, ""]);
  });

  test("docs/api.md has every function of the package, each with an example", () => {
    const [, functions = ""] = pageText("docs/api.md").split(/^## Functions$/m);
    const sections = functions.split(/^## /m)[0]?.split(/^### /m).slice(1) ?? [];
    expect(sections.length).toBeGreaterThan(20);
    const without = sections.filter((section) => !/^#{4,5} Examples?$/m.test(section));
    expect(without.map((section) => section.split("\n")[0])).toEqual([]);
  });

  test("every file that CONTRIBUTING names is there", () => {
    const named = [
      ...pageText("CONTRIBUTING.md").matchAll(/`((?:src|test|fixtures|docs|scripts|\.github)\/[\w./-]+)`/g),
    ];
    const paths = named.map((match) => String(match[1])).filter((path) => !path.includes("<"));
    expect(paths.length).toBeGreaterThan(20);
    expect(paths.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });

  test("docs/architecture.md lists the rooms of src in the order of the architecture test", () => {
    const listed = [...pageText("docs/architecture.md").matchAll(/^\| `([\w-]+)(?:\/|\.ts)` \|/gm)].map(
      (match) => match[1],
    );
    const source = readFileSync(join(root, "test", "architecture.test.ts"), "utf8");
    const list = /const rooms = \[([^\]]*)\]/.exec(source)?.[1] ?? "";
    const rooms = [...list.matchAll(/"([^"]+)"/g)].map((match) => match[1]);
    expect(rooms.length).toBeGreaterThan(20);
    expect(listed).toEqual(rooms);
  });
});
