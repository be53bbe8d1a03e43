import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const src = join(dirname(fileURLToPath(import.meta.url)), "..", "src");

/** Reading order of the rooms: each imports only itself and what stands before it. */
const rooms = [
  "errors",
  "options",
  "stages",
  "tensor",
  "lazy-tensor",
  "random",
  "checkpoint",
  "hdf5",
  "zip",
  "protobuf",
  "engine",
  "topology",
  "architectures",
  "head",
  "formats",
  "freeze",
  "storage",
  "data",
  "layers",
  "model",
  "features",
  "task",
  "training",
  "inference",
  "report",
  "run",
  "finetune",
  "cross-validate",
  "sweep",
  "tfjs",
  "index",
  "cli-api",
  "cli",
];

/** Rooms that are pure: what they may not import although it stands before them. */
const banned: Readonly<Record<string, readonly string[]>> = {
  topology: ["hdf5", "zip", "formats", "engine"],
  architectures: ["hdf5", "zip", "formats", "engine"],
  head: ["hdf5", "zip", "formats", "engine"],
  freeze: ["hdf5", "zip", "formats", "engine"],
};

/** Files of under 30 lines with one importer that stay on their own, each with the reason. */
const smallFiles: Readonly<Record<string, string>> = {
  "engine/layers-model.ts": "the engine is the only importer of tfjs",
  "engine/kernels/softmax-crossentropy.ts": "each family of kernels has a file",
  "engine/wasm-kernels/strided-slice.ts": "each kernel that is replaced has a file",
  "formats/onnx/normalization.ts": "each family of kernels has a file",
  "formats/hub/format.ts": "each format has a file",
  "protobuf/reader.ts": "the room reads and writes, each in a file",
  "formats/tfjs/format.ts": "each format has a file",
};

/** The one room that imports a third-party package. */
const owners: readonly (readonly [name: RegExp, room: string])[] = [
  [/^h5wasm(\/|$)/, "hdf5"],
  [/^sharp$/, "data"],
  [/^csv-parse(\/|$)/, "data"],
  [/^fast-png$/, "data"],
  [/^protobufjs(\/|$)/, "protobuf"],
  [/^@tensorflow\//, "engine"],
  [/^@aws-sdk\//, "storage"],
  [/^yargs(\/|$)/, "cli"],
  [/^yaml$/, "cli"],
];

interface SourceFile {
  /** Relative to src, with forward slashes. */
  readonly path: string;
  readonly room: string;
  readonly text: string;
  /** Module specifiers of every import, re-export and dynamic import, type-only ones too. */
  readonly imports: readonly string[];
}

const files: readonly SourceFile[] = readdirSync(src, { recursive: true, encoding: "utf8" })
  .map((path) => path.replaceAll("\\", "/"))
  .filter((path) => path.endsWith(".ts"))
  .sort()
  .map((path) => {
    const text = readFileSync(join(src, path), "utf8");
    return { path, room: roomOf(path), text, imports: importsOf(text) };
  });

function roomOf(path: string): string {
  return path.includes("/") ? path.slice(0, path.indexOf("/")) : path.replace(/\.ts$/, "");
}

function importsOf(text: string): string[] {
  const code = text.replace(/^\s*(?:\/\*[\s\S]*?\*\/|\/\/.*|\*.*)$/gm, "");
  const statements = code.matchAll(/^(?:import|export)\b[^"'`;]*?\bfrom\s*["']([^"']+)["']/gm);
  const bare = code.matchAll(/^import\s*["']([^"']+)["']/gm);
  const calls = code.matchAll(/\b(?:import|require)\s*\(\s*["']([^"']+)["']/g);
  return [...statements, ...bare, ...calls].map((match) => match[1]!);
}

function targetOf(file: SourceFile, specifier: string): string {
  return posix.join(posix.dirname(file.path), specifier);
}

const isRelative = (specifier: string) => specifier.startsWith(".");
const problems = (check: (file: SourceFile) => readonly string[]) =>
  files.flatMap((file) => check(file).map((problem) => `${file.path}: ${problem}`));

describe("architecture", () => {
  test("the scan sees the whole of src", () => {
    expect(files.length).toBeGreaterThan(50);
    expect(files.flatMap((file) => file.imports).length).toBeGreaterThan(100);
    expect(
      importsOf('import {\n  a,\n} from "./a.ts";\nexport type { B } from "./b.ts";\nimport "./c.ts";\n'),
    ).toEqual(["./a.ts", "./b.ts", "./c.ts"]);
  });

  test("every file lies in a room", () => {
    expect(problems((file) => (rooms.includes(file.room) ? [] : [`no room is called ${file.room}`]))).toEqual(
      [],
    );
  });

  test("a room imports only itself and the rooms above it", () => {
    const found = problems((file) =>
      file.imports
        .filter(isRelative)
        .map((specifier) => targetOf(file, specifier))
        .filter((target) => rooms.indexOf(roomOf(target)) > rooms.indexOf(file.room))
        .map((target) => `imports ${target}, a room below it`),
    );
    expect(found).toEqual([]);
  });

  test("topology and freeze import neither hdf5 nor formats nor engine", () => {
    const found = problems((file) =>
      file.imports
        .filter(isRelative)
        .map((specifier) => targetOf(file, specifier))
        .filter((target) => banned[file.room]?.includes(roomOf(target)))
        .map((target) => `imports ${target}`),
    );
    expect(found).toEqual([]);
  });

  test("the command line imports the public API, cli-api and its own files only", () => {
    const found = problems((file) =>
      file.room !== "cli"
        ? []
        : file.imports
            .filter(isRelative)
            .map((specifier) => targetOf(file, specifier))
            .filter((target) => !["index", "cli-api", "cli"].includes(roomOf(target))),
    );
    expect(found).toEqual([]);
  });

  test("each third-party package has one owner", () => {
    const found = problems((file) =>
      file.imports
        .filter((specifier) => !isRelative(specifier) && !specifier.startsWith("node:"))
        .filter((specifier) => owners.find(([name]) => name.test(specifier))?.[1] !== file.room)
        .map((specifier) => `imports ${specifier}, which is not its own`),
    );
    expect(found).toEqual([]);
  });

  test("no imports form a cycle, type-only ones included", () => {
    const edges = new Map(
      files.map((file) => [
        file.path,
        file.imports.filter(isRelative).map((specifier) => targetOf(file, specifier)),
      ]),
    );
    expect(cycleIn(edges)).toEqual([]);
    expect(
      cycleIn(
        new Map([
          ["a", ["b"]],
          ["b", ["c"]],
          ["c", ["b"]],
        ]),
      ),
    ).toEqual(["b", "c", "b"]);
  });

  test("relative imports name an existing file by its .ts name", () => {
    const known = new Set(files.map((file) => file.path));
    const found = problems((file) =>
      file.imports
        .filter(isRelative)
        .filter((specifier) => !known.has(targetOf(file, specifier)))
        .map((specifier) => `imports ${specifier}`),
    );
    expect(found).toEqual([]);
  });

  test("index.ts and cli-api.ts are the only barrels, and they only re-export", () => {
    const isBarrel = (text: string) => /^export\s+(?:type\s+)?(?:\*|\{[^}]*\})\s*from\b/m.test(text);
    const barrels = files.filter((file) => isBarrel(file.text)).map((file) => file.path);
    expect(barrels).toEqual(["cli-api.ts", "index.ts"]);
    expect(files.filter((file) => /(?:^|\/)index\.ts$/.test(file.path)).map((file) => file.path)).toEqual([
      "index.ts",
    ]);
    const rest = files
      .filter((file) => barrels.includes(file.path))
      .map((file) =>
        file.text
          .replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "")
          .replace(/^export\s+(?:type\s+)?\{[^}]*\}\s*from\s*"[^"]+";/gm, "")
          .trim(),
      );
    expect(rest).toEqual(["", ""]);
  });

  test("no file is called utils, helpers, common or misc, and names are kebab-case", () => {
    const found = files
      .map((file) => file.path)
      .filter(
        (path) =>
          /(?:^|\/)(?:utils?|helpers?|common|misc)\.ts$/.test(path) ||
          !path
            .replace(/\.ts$/, "")
            .split("/")
            .every((part) => /^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(part)),
      );
    expect(found).toEqual([]);
  });

  test("no file passes 500 lines", () => {
    expect(
      problems((file) => {
        const lines = file.text.split("\n").length - 1;
        return lines > 500 ? [`${lines} lines`] : [];
      }),
    ).toEqual([]);
  });

  test("a file of under 30 lines with one importer stands in that importer's file", () => {
    const importers = (path: string) =>
      files.filter((file) =>
        file.imports.some((specifier) => isRelative(specifier) && targetOf(file, specifier) === path),
      );
    const small = files.filter(
      (file) => file.text.split("\n").length - 1 < 30 && importers(file.path).length === 1,
    );
    expect(
      small
        .filter((file) => !(file.path in smallFiles))
        .map((file) => `${file.path}: move it into ${importers(file.path)[0]?.path}`),
    ).toEqual([]);
    const names = small.map((file) => file.path);
    expect(Object.keys(smallFiles).filter((path) => !names.includes(path))).toEqual([]);
  });

  test("doc comments begin with a verb or a noun, never with a dangling word", () => {
    const dangling =
      /\/\*\*[\s*]*(?:@file[\s*]+)?((?:Of|By|What|Where|Whether|Who|Whose|Which|How)\s[^\n]{0,60})/g;
    const opening = (text: string) => [...text.matchAll(dangling)].map((match) => match[1]);
    expect(opening("/** Of a layer. */\n/**\n * What it is.\n */\n/** Offset. */").map(String)).toEqual([
      "Of a layer. */",
      "What it is.",
    ]);
    const found = problems((file) => opening(file.text).map((text) => `"${text}"`));
    expect(found).toEqual([]);
  });

  test("only the command line writes to the console or leaves the process", () => {
    const found = problems((file) =>
      file.room === "cli"
        ? []
        : [
            ...file.text
              .replace(/\/\*[\s\S]*?\*\//g, "")
              .matchAll(/\bconsole\.\w+|\bprocess\.(?:exit\b|exitCode|stdout|stderr)/g),
          ].map((match) => match[0]),
    );
    expect(found).toEqual([]);
  });

  test("no default exports, enums, any or suppressed types", () => {
    const found = problems((file) =>
      [
        ...file.text.matchAll(
          /^export default|^(?:export )?(?:const )?enum |: any\b|\bas any\b|@ts-(?:ignore|expect-error|nocheck)/gm,
        ),
      ].map((match) => match[0]),
    );
    expect(found).toEqual([]);
  });

  test("bin/finetune.js is plain JavaScript that imports the built command line and nothing else but Node", () => {
    const text = readFileSync(join(src, "..", "bin", "finetune.js"), "utf8");
    expect(text.startsWith("#!/usr/bin/env node\n")).toBe(true);
    const named = importsOf(text).filter((specifier) => !specifier.startsWith("node:"));
    expect(named).toEqual(["../dist/bundle/main.js"]);
  });
});

/** The first cycle found, its first file repeated at the end; empty where there is none. */
function cycleIn(edges: ReadonlyMap<string, readonly string[]>): readonly string[] {
  const done = new Set<string>();
  const visit = (path: string, above: readonly string[]): readonly string[] => {
    if (above.includes(path)) return [...above.slice(above.indexOf(path)), path];
    if (done.has(path)) return [];
    for (const next of edges.get(path) ?? []) {
      const cycle = visit(next, [...above, path]);
      if (cycle.length > 0) return cycle;
    }
    done.add(path);
    return [];
  };
  for (const path of edges.keys()) {
    const cycle = visit(path, []);
    if (cycle.length > 0) return cycle;
  }
  return [];
}
