#!/usr/bin/env node
/**
 * Writes the generated pages of docs/:
 *
 *     npm run docs              docs/commands.md, from the declarations of commands and flags in dist/
 *                               docs/api.md, from the doc comments of what the package exports
 *                               the table of classes in docs/kerashub.md, from the classes that are read
 *     npm run docs -- commands  one of them
 *     npm run docs -- demo      what `npm run demo` prints here, into README.md
 *     npm run docs -- --check   writes nothing and ends with 1 if a page is not what would be written
 *
 * TypeDoc reads TypeScript up to 6, so npx brings it with a TypeScript of its own.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const packages = ["typedoc@0.28.20", "typedoc-plugin-markdown@4.14.1", "typescript@5.9.3"];

const intro = `# API

Written by \`npm run docs\` from the doc comments, which are in the package's types too: an editor shows them. Tensors are plain values,
\`{ dtype, shape, data }\`, row-major; images are \`[N, height, width, channels]\`. Nothing is written to disk unless an argument names a
path. Errors have a stable \`code\`.
`;

/** Runs TypeDoc and returns the page. */
function apiPage() {
  const folder = mkdtempSync(join(tmpdir(), "typedoc-"));
  const options = {
    entryPoints: [join(root, "src", "index.ts"), join(root, "src", "tfjs.ts")],
    tsconfig: join(root, "tsconfig.json"),
    out: folder,
    plugin: ["typedoc-plugin-markdown"],
    readme: "none",
    disableSources: true,
    excludeExternals: true,
    skipErrorChecking: true,
    sort: ["alphabetical"],
    groupOrder: ["Functions", "Interfaces", "TypeAliases", "Classes"],
    outputFileStrategy: "modules",
    entryFileName: "entries",
    hidePageHeader: true,
    hideBreadcrumbs: true,
    useCodeBlocks: true,
    intentionallyNotExported: ["Argument", "ElementType", "OutputTargets", "SampleRows", "scheduleNames"],
    ...Object.fromEntries(
      ["parameters", "interfaceProperties", "classProperties", "typeDeclaration", "propertyMembers"].map(
        (name) => [`${name}Format`, "table"],
      ),
    ),
    tableColumnSettings: {
      hideInherited: true,
      hideModifiers: true,
      hideOverrides: true,
      hideSources: true,
      hideValues: true,
    },
  };
  const file = join(folder, "options.json");
  writeFileSync(file, JSON.stringify(options));
  try {
    const named = packages.flatMap((name) => ["--package", name]);
    const command = ["--yes", ...named, "--", "typedoc", "--options", file];
    const { status, stdout, stderr } = spawnSync("npx", command, { cwd: root, encoding: "utf8" });
    if (status !== 0) {
      console.error(`${stdout}${stderr}`.replaceAll(`${root}`, ""));
      process.exit(1);
    }
    const body = (name) =>
      readFileSync(join(folder, name), "utf8")
        .replace(/^# .*\n/, "")
        .replaceAll("index.md#", "#");
    const text = `${intro}${body("index.md")}\n## keras-finetune/tfjs\n${body("tfjs.md")}`;
    return withAnchors(text)
      .replaceAll(/ +$/gm, "")
      .replaceAll(/<a id="[^"]*"><\/a> /g, "")
      .replaceAll(/^\*\*\*\n/gm, "")
      .replaceAll(/\n{3,}/g, "\n\n")
      .replace(/\n+$/, "\n");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Returns a table row; bars inside a cell would end it. */
function row(...cells) {
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

function flagRow([name, { placeholder, help, otherwise }]) {
  const written = `\`--${name}${placeholder ? ` ${placeholder}` : ""}\``;
  return row(written, otherwise === undefined ? "" : `\`${otherwise}\``, help);
}

/** Returns a command's part of the page: how it is called, what it does, examples, its flags by group. */
function commandSection(command, { flagsOf, order }) {
  const flags = [...flagsOf(command)];
  const groups = [...new Set(flags.map(([, { group }]) => group))];
  groups.sort((a, b) => order.indexOf(a) - order.indexOf(b));
  const tables = groups.flatMap((group) => [
    ...(groups.length > 1 || group !== "Options" ? [`**${group}**`, ""] : []),
    row("flag", "default", "meaning"),
    row("---", "---", "---"),
    ...flags.filter(([, flag]) => flag.group === group).map(flagRow),
    "",
  ]);
  const examples = command.examples.flatMap(([example, does]) => [`# ${does}`, `finetune ${example}`]);
  const usage = ["```text", `finetune ${command.usage}`, "```", ""];
  const shown = examples.length > 0 ? ["```sh", ...examples, "```", ""] : [];
  return [`## ${command.name}`, "", ...usage, command.summary, "", ...shown, ...tables].join("\n");
}

async function commandsPage() {
  const { commands } = await import(new URL("../dist/cli/commands.js", import.meta.url));
  const { flagsOf } = await import(new URL("../dist/cli/command.js", import.meta.url));
  const { groups: order } = await import(new URL("../dist/cli/help.js", import.meta.url));
  const links = commands.map(({ name, summary }) => row(`[\`${name}\`](#${name})`, summary));
  return `# Commands

Written by \`npm run docs\` from the declarations that the program itself reads.

${[row("command", "what it does"), row("---", "---"), ...links].join("\n")}

\`finetune --model M --data D\` is \`finetune train\`. \`finetune help COMMAND\` prints what stands here; \`finetune completion\` prints a script
that completes commands and flags in a shell.

**Config file.** Every command takes \`--config FILE\`: the names of flags as keys, in JSON or YAML. Flags on the command line win.

**Output.** Results go to stdout; notes, warnings and progress to stderr. With \`--json\` stdout has one JSON document at the end and everything
else goes to stderr; on an error stdout stays empty.

| exit code | meaning |
| --- | --- |
| 0 | done |
| 1 | the file, the data or the machine |
| 2 | the command line: a flag, a value, a pattern that matches nothing, everything frozen, an output that exists |
| 130 | Ctrl-C. The first finishes the step and saves the best completed epoch; the second leaves at once |

${commands.map((command) => commandSection(command, { flagsOf, order })).join("\n")}`.replace(/\n+$/, "\n");
}

/** Returns docs/kerashub.md with the table of the classes that are read. */
async function kerashubPage() {
  const { hubFamilies } = await import(
    new URL("../dist/architectures/hub/known-classes.js", import.meta.url)
  );
  const rows = hubFamilies().map(({ classes, networks }) =>
    row(classes.map((name) => `\`${name}\``).join(", "), networks),
  );
  const table = [row("class", "networks"), row("---", "---"), ...rows].join("\n");
  const place = /(?<=<!-- npm run docs -->\n).*?(?=\n\n)/s;
  return readFileSync(join(root, "docs", "kerashub.md"), "utf8").replace(place, () => table);
}

/** Leads each link of a name to the heading of that name; a heading that comes again, in any case, gets a number. */
function withAnchors(text) {
  const seen = new Map();
  const anchors = new Map();
  for (const [, heading] of text.matchAll(/^#+ (.*)$/gm)) {
    const slug = heading
      .toLowerCase()
      .replace(/[^\w\- ]/g, "")
      .replaceAll(" ", "-");
    const count = seen.get(slug) ?? 0;
    seen.set(slug, count + 1);
    if (!anchors.has(heading)) anchors.set(heading, count === 0 ? slug : `${slug}-${count}`);
  }
  return text.replaceAll(/\[`([^`\]]+)`\]\(#[^)]*\)/g, (link, name) =>
    anchors.has(name) ? `[\`${name}\`](#${anchors.get(name)})` : link,
  );
}

/** Puts what the demo prints, with a cache of its own, where README shows it. */
function writeDemo() {
  const home = mkdtempSync(join(tmpdir(), "demo-"));
  const env = { ...process.env, KERAS_FINETUNE_HOME: home, KERAS_FINETUNE_ENGINE: "wasm" };
  const { status, stdout } = spawnSync("npm", ["run", "--silent", "demo"], {
    cwd: root,
    encoding: "utf8",
    env,
  });
  rmSync(home, { recursive: true, force: true });
  if (status !== 0) process.exit(1);
  const shown = stdout.replace(home, "~/.cache/keras-finetune").trimEnd();
  const path = join(root, "README.md");
  const place = /(?<=<!-- npm run demo -->\n```console\n).*?(?=\n```)/s;
  writeFileSync(
    path,
    readFileSync(path, "utf8").replace(place, () => shown),
  );
}

const pages = { commands: commandsPage, api: apiPage, kerashub: kerashubPage };
const words = process.argv.slice(2);
if (words.includes("demo")) {
  writeDemo();
  process.exit();
}
const asked = words.filter((word) => word in pages);
let isStale = false;
for (const name of asked.length > 0 ? asked : Object.keys(pages)) {
  const path = `docs/${name}.md`;
  const text = await pages[name]();
  if (!words.includes("--check")) {
    writeFileSync(join(root, path), text);
  } else if (readFileSync(join(root, path), "utf8") !== text) {
    console.error(`${path}: expected what the sources say, got an older page. Run npm run docs.`);
    isStale = true;
  }
}
if (isStale) process.exit(1);
