/** What npm publishes, used as a stranger would: packed, installed into empty projects, compiled against, run. */
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { lastingScratch } from "./cli/run-cli.ts";

const root = join(import.meta.dirname, "..");
const compilers = ["5.4.5", "5.9.3", "7.0.2"];
const { version, devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  version: string;
  devDependencies: Readonly<Record<string, string>>;
};

function run(
  command: string,
  args: readonly string[],
  cwd: string,
  env: Record<string, string> = {},
): string {
  try {
    return execFileSync(command, args, {
      cwd,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, KERAS_FINETUNE_ENGINE: "wasm", ...env },
    });
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${command} ${args.join(" ")}\n${stdout}\n${stderr}`);
  }
}

const install = (folder: string, ...packages: readonly string[]): string =>
  run("npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts", ...packages], folder);

let tarball: string;
/** The package as it is unpacked in the consumer's node_modules. */
let shipped: string;
let consumer: string;
/** A folder of TypeScript compilers, a folder each. */
let typescript: string;

beforeAll(async () => {
  const folder = lastingScratch();
  const packed = run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder], root);
  const [{ filename }] = JSON.parse(packed) as [{ filename: string }];
  tarball = join(folder, filename);
  consumer = join(folder, "consumer");
  mkdirSync(consumer);
  writeFileSync(join(consumer, "package.json"), JSON.stringify({ private: true, type: "module" }));
  install(consumer, "--omit=optional", tarball, `@types/node@${devDependencies["@types/node"]}`);
  shipped = join(consumer, "node_modules", "keras-finetune");
  typescript = join(folder, "typescript");
  mkdirSync(typescript);
  writeFileSync(join(typescript, "package.json"), JSON.stringify({ private: true }));
  install(typescript, ...compilers.map((number) => `v${number}@npm:typescript@${number}`));
});

/** Compiles files of the consumer with everything strict; throws what the compiler says. */
function compile(
  compiler: string,
  files: readonly string[],
  more: Readonly<Record<string, unknown>> = {},
): void {
  const compilerOptions = {
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    module: "nodenext",
    target: "es2022",
    types: ["node"],
    skipLibCheck: false,
    noEmit: true,
    ...more,
  };
  writeFileSync(join(consumer, "tsconfig.json"), JSON.stringify({ compilerOptions, files }));
  run(
    process.execPath,
    [join(typescript, "node_modules", `v${compiler}`, "bin", "tsc"), "-p", "."],
    consumer,
  );
}

function shippedFiles(): readonly string[] {
  return readdirSync(shipped, { recursive: true, encoding: "utf8", withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(shipped.length + 1))
    .filter((path) => !path.startsWith("node_modules"));
}

describe("the files of the tarball", () => {
  test("are those of this source, with no source maps", () => {
    const paths = shippedFiles();
    expect(paths.filter((path) => path.endsWith(".map"))).toEqual([]);
    const sources = paths
      .filter((path) => path.startsWith("dist/") && !path.startsWith("dist/bundle/"))
      .map((path) => path.replace(/^dist/, "src"));
    const missing = sources.map((path) => path.replace(/(?:\.d\.ts|\.js)$/, ".ts"));
    expect(missing.filter((path) => !existsSync(join(root, path)))).toEqual([]);
    expect(
      paths.filter((path) => /\.js$/.test(path)).some((path) => /sourceMappingURL/.test(textOf(path))),
    ).toBe(false);
  });

  test("have no dead links", () => {
    const dead = shippedFiles()
      .filter((path) => path.endsWith(".md"))
      .flatMap((path) =>
        [...proseOf(path).matchAll(/\]\(([^)\s]+)\)/g)]
          .map((match) => String(match[1]))
          .filter((target) => !/^(?:https?:|#)/.test(target))
          .filter((target) => !existsSync(join(shipped, dirname(path), target.replace(/#.*$/, ""))))
          .map((target) => `${path}: ${target}`),
      );
    expect(dead).toEqual([]);
  });
});

/** A page without its code, where brackets before parentheses are no links. */
function proseOf(path: string): string {
  return textOf(path)
    .replaceAll(/^```.*?^```$/gms, "")
    .replaceAll(/`[^`\n]*`/g, "");
}

function textOf(path: string): string {
  return readFileSync(join(shipped, path), "utf8");
}

describe.each(compilers)("a strict consumer under TypeScript %s", (compiler) => {
  test("compiles with every export of the main entry, its libraries checked too", () => {
    const exported = [...textOf("dist/index.d.ts").matchAll(/^export (type )?\{([^}]*)\} from/gm)].flatMap(
      ([, isType, names]) =>
        String(names)
          .split(",")
          .map((name) => ({ name: name.trim(), isType: Boolean(isType) })),
    );
    const names = exported.filter(({ name }) => name !== "");
    expect(names.length).toBeGreaterThan(60);
    const lines = names.map(
      ({ name, isType }) => `export ${isType ? "type " : ""}{ ${name} } from "keras-finetune";`,
    );
    const values = names.filter(({ isType }) => !isType).map(({ name }) => name);
    const use = [
      `import * as api from "keras-finetune";`,
      `export const used = [${values.map((name) => `api.${name}`)}];`,
    ];
    writeFileSync(join(consumer, "every.ts"), [...lines, ...use].join("\n"));
    compile(compiler, ["every.ts"], { declaration: true });
  });

  test("compiles the examples", () => {
    cpSync(join(shipped, "examples"), join(consumer, "examples"), { recursive: true });
    const programs = readdirSync(join(consumer, "examples"), { recursive: true, encoding: "utf8" });
    // The consumer has installed nothing but the package.
    const needsNothingElse = (name: string): boolean =>
      !textOf(`examples/${name}`).includes('from "fastify"');
    compile(
      compiler,
      programs
        .filter((name) => name.endsWith(".ts") && needsNothingElse(name))
        .map((name) => `examples/${name}`),
    );
  });

  test("compiles with keras-finetune/tfjs, but for tfjs's own declarations", () => {
    const text =
      'import { readCheckpoint } from "keras-finetune";\nimport { toLayersModel } from "keras-finetune/tfjs";\n' +
      'const model = await toLayersModel(await readCheckpoint("model.h5"));\nconsole.log(model.inputs[0]?.shape);\nmodel.dispose();\n';
    writeFileSync(join(consumer, "layers.ts"), text);
    compile(compiler, ["layers.ts"], { skipLibCheck: true });
  });
});

describe("the installed package", () => {
  const model = join(root, "fixtures", "cli", "small_resnet.keras");

  test("runs a compiled program", () => {
    cpSync(join(shipped, "examples"), join(consumer, "examples"), { recursive: true });
    compile("7.0.2", ["examples/own-loop.ts"], { noEmit: false, outDir: "built", rootDir: "." });
    const printed = run(process.execPath, ["built/examples/own-loop.js", model, "tuned.keras"], consumer);
    expect(printed).toMatch(/^written to tuned\.keras$/m);
    const { length } = readFileSync(join(consumer, "tuned.keras"));
    expect(length).toBeGreaterThan(10_000);
  });

  test("gives a project the command, through npx too", () => {
    const shown = run("npx", ["--no", "--", "finetune", "inspect", model], consumer);
    expect(shown).toMatch(/^model +.*small_resnet\.keras/m);
    expect(run("npx", ["--no", "--", "finetune", "--version"], consumer).trim()).toBe(version);
  });

  test("installed globally, puts the command on the path", () => {
    const prefix = join(consumer, "..", "global");
    run(
      "npm",
      [
        "install",
        "--global",
        `--prefix=${prefix}`,
        "--no-audit",
        "--no-fund",
        "--omit=optional",
        "--ignore-scripts",
        tarball,
      ],
      root,
    );
    const path = `${join(prefix, "bin")}:${process.env["PATH"]}`;
    const converted = join(prefix, "model.h5");
    const printed = run("finetune", ["convert", model, converted], prefix, { PATH: path });
    expect([existsSync(converted), printed]).toEqual([true, expect.stringContaining("parity")]);
  });
});
