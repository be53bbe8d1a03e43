import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const read = (path: string) => readFileSync(join(root, path), "utf8");
const manifest = JSON.parse(read("package.json")) as Record<string, unknown> & {
  readonly scripts: Readonly<Record<string, string>>;
};
const ignored = new Set([
  ".git",
  ...read(".gitignore")
    .split("\n")
    .map((line) => line.replace(/\/$/, "")),
]);
const tracked = filesIn("");
const isText = (path: string) => /\.(?:ts|js|json|md|py|sh|html|csv|txt)$|(?:^|\/)\.?[\w-]+$/.test(path);

describe("package", () => {
  test("every dependency is pinned to one version", () => {
    const groups = ["dependencies", "devDependencies", "optionalDependencies"];
    const versions = groups.flatMap((group) => Object.entries(manifest[group] as Record<string, string>));
    expect(versions.length).toBeGreaterThan(10);
    expect(versions.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
  });

  test("it is an ES module for Node 20.19 and later, with two entries that put their types first", () => {
    expect(manifest["type"]).toBe("module");
    expect(manifest["engines"]).toEqual({ node: ">=20.19" });
    const entries = Object.entries(manifest["exports"] as Record<string, object>);
    expect(entries.map(([name, files]) => [name, Object.entries(files)])).toEqual(
      [
        [".", "index"],
        ["./tfjs", "tfjs"],
      ].map(([name, file]) => [
        name,
        [
          ["types", `./dist/${file}.d.ts`],
          ["default", `./dist/bundle/${file}.js`],
        ],
      ]),
    );
    expect(manifest["bin"]).toEqual({ finetune: "bin/finetune.js" });
  });

  test("the types of the main entry need no other package", () => {
    const chains = new Map([["index.d.ts", "index.d.ts"]]);
    const found: string[] = [];
    for (const [path, chain] of chains) {
      for (const [, name = ""] of read(`dist/${path}`).matchAll(/(?:from|import\()\s*["']([^"']+)["']/g)) {
        const target = posix.join(posix.dirname(path), name).replace(/\.[jt]s$/, ".d.ts");
        if (!name.startsWith(".")) found.push(`${name} <- ${chain}`);
        else if (!chains.has(target)) chains.set(target, `${target} <- ${chain}`);
      }
    }
    expect(chains.size).toBeGreaterThan(20);
    expect(found).toEqual([]);
  });

  test("it ships the build, the command, the docs, the examples and the texts, and nothing else", () => {
    expect(manifest["files"]).toEqual([
      ...["dist/bundle", "dist/**/*.d.ts", "bin", "docs", "examples", "bench/*.md"],
      ...["CHANGELOG.md", "SECURITY.md"],
    ]);
    for (const name of ["bin/finetune.js", "LICENSE", "README.md", "CHANGELOG.md", "SECURITY.md"]) {
      expect(existsSync(join(root, name)), name).toBe(true);
    }
    expect(manifest["license"]).toBe("Apache-2.0");
  });

  test("installing in a clean clone builds, without another command", () => {
    expect(manifest.scripts["prepare"]).toBe("npm run build");
    expect(manifest.scripts["build"]).toBe("tsc -p src && node scripts/bundle.mjs");
    // What an earlier build left of files that are gone would be published.
    expect(manifest.scripts["prebuild"]).toContain("rmSync('dist'");
  });

  test("the native engine is optional and the reader that checks HDF5 files is for development", () => {
    expect(Object.keys(manifest["optionalDependencies"] as object)).toContain("@tensorflow/tfjs-node");
    expect(Object.keys(manifest["devDependencies"] as object)).toContain("jsfive");
    expect(Object.keys(manifest["dependencies"] as object)).not.toContain("jsfive");
  });

  test("the lockfile names no registry host and agrees with the manifest", () => {
    const lock = JSON.parse(read("package-lock.json")) as {
      packages: Record<string, Record<string, unknown>>;
    };
    const resolved = Object.values(lock.packages).filter((entry) => typeof entry["resolved"] === "string");
    expect(resolved.map((entry) => entry["resolved"])).toEqual([]);
    // npm refuses a package whose bytes are not those that the lockfile was made with.
    const packages = Object.entries(lock.packages).filter(([path]) => path !== "");
    const unchecked = packages.filter(([, entry]) => !/^sha512-/.test(String(entry["integrity"])));
    expect(unchecked.map(([path]) => path)).toEqual([]);
    for (const group of ["dependencies", "devDependencies", "optionalDependencies"]) {
      expect(lock.packages[""]![group]).toEqual(manifest[group]);
    }
  });

  test("no tracked text names a package registry or a path of one machine", () => {
    const registry = new RegExp(
      `https?://[a-z.]*(?:${["npm", "pypi", "pythonhosted", "debian"].join("|")})[a-z]*[.](?:org|com)`,
      "i",
    );
    const machinePath = new RegExp(
      `(?:^|[^\\w./-])/(?:${["tmp", "work", "root", "home"].join("|")})/\\w`,
      "m",
    );
    const found = tracked
      .filter(isText)
      .filter(
        (path) => registry.test(read(path)) || (path !== "package-lock.json" && machinePath.test(read(path))),
      );
    expect(found).toEqual([]);
  });

  test("fixtures/README.md says of every fixture folder where it comes from", () => {
    const text = read("fixtures/README.md");
    const folders = readdirSync(join(root, "fixtures"), { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && entry.name !== "make")
      .map((entry) => entry.name);
    expect(folders.filter((name) => !text.includes(`| \`${name}/\` |`))).toEqual([]);
  });

  test("models, arrays and pictures lie in fixtures, examples or docs, not at the top or among the code", () => {
    const isData =
      /\.(?:keras|h5|hdf5|npy|npz|bin|onnx|pb|tflite|zip|gz|tar|jpe?g|png|gif|webp|bmp|csv|jsonl)$/i;
    const belongs = /^(?:fixtures|examples|docs)\//;
    expect(tracked.filter((path) => isData.test(path) && !belongs.test(path))).toEqual([]);
  });

  test("the repository stays under 40 MB", () => {
    const bytes = tracked.reduce((sum, path) => sum + statSync(join(root, path)).size, 0);
    expect(bytes).toBeLessThan(40 * 2 ** 20);
  });
});

/** Files below `folder`, relative to the root, without what .gitignore names. */
function filesIn(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .filter((entry) => !ignored.has(entry.name))
    .flatMap((entry) => {
      const path = folder ? `${folder}/${entry.name}` : entry.name;
      return entry.isDirectory() ? filesIn(path) : [path];
    });
}
