import { copyFile, link, mkdir, readdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { MachineError } from "../../errors.ts";
import { bindingPackage, quietLoadFile } from "../home.ts";
import type { TensorFlowFiles } from "./find-tensorflow.ts";
import { wheelPlatform } from "./platform.ts";
import { quietLoadSource } from "./quiet-load.ts";
import { lastLines, runCommand, tryCommand } from "./run-command.ts";

/** The version of tfjs-node that is built. It equals that of our tfjs-core, with which it shares kernels. */
export const bindingRelease = "4.22.0";

const headersRelease = "1.5.0";
const napiVersion = 8;

/** Dependencies of tfjs-node that our own tfjs-core replaces at load time, so that empty packages suffice. */
const standIns = ["tfjs", "tfjs-core"];

/** Installs tfjs-node in `folder` by npm, and runs its installer, which downloads a library, only if asked to. */
export async function layBindingSources(folder: string, runsInstaller: boolean): Promise<void> {
  for (const name of standIns) {
    const manifest = { name: `@tensorflow/${name}`, version: bindingRelease, main: "index.js" };
    await mkdir(join(folder, name), { recursive: true });
    await writeFile(join(folder, name, "package.json"), JSON.stringify(manifest));
    await writeFile(join(folder, name, "index.js"), "module.exports = {};\n");
  }
  const manifest = {
    private: true,
    dependencies: {
      ...Object.fromEntries(standIns.map((name) => [`@tensorflow/${name}`, `file:./${name}`])),
      "@tensorflow/tfjs-node": bindingRelease,
      "node-api-headers": headersRelease,
    },
    overrides: Object.fromEntries(standIns.map((name) => [`@tensorflow/${name}`, `$@tensorflow/${name}`])),
  };
  await writeFile(join(folder, "package.json"), JSON.stringify(manifest));
  const parameters = [
    "install",
    ...(runsInstaller ? [] : ["--ignore-scripts"]),
    "--no-audit",
    "--no-fund",
    "--omit=dev",
    "--loglevel=error",
  ];
  await runCommand(`@tensorflow/tfjs-node ${bindingRelease}`, "npm", parameters, {
    code: "no-npm",
    missing: "Install npm, which comes with Node.",
    failed: "Check that npm reaches its registry.",
    folder,
  });
}

/** Puts TensorFlow's libraries where the binding expects them: moved if possible, else linked, else copied. */
export async function layLibraries(folder: string, tensorflow: TensorFlowFiles): Promise<void> {
  const target = join(bindingPackage(folder), "deps", "lib");
  await mkdir(target, { recursive: true });
  for (const library of wheelPlatform().libraries) {
    const [from, to] = [join(tensorflow.folder, library), join(target, library)];
    if (tensorflow.temporary) await rename(from, to);
    else await link(from, to).catch(() => copyFile(from, to));
  }
}

/** Compiles the binding, and the addon that loads TensorFlow quietly. @throws {MachineError} without a C++ compiler. */
export async function compileBinding(folder: string, tensorflow: TensorFlowFiles): Promise<void> {
  const compiler = await findCompiler();
  const home = bindingPackage(folder);
  const headers = join(folder, "node_modules", "node-api-headers", "include");
  const output = join(home, "lib", `napi-v${napiVersion}`);
  await mkdir(output, { recursive: true });
  const { linking, loadsQuietly } = wheelPlatform();
  const shared = ["-O2", "-fPIC", `-DNAPI_VERSION=${napiVersion}`, "-I", headers];
  const sources = (await readdir(join(home, "binding"))).filter((name) => name.endsWith(".cc"));
  await compile(compiler, [
    ...["-std=c++17", ...shared, "-I", join(tensorflow.folder, "include")],
    ...sources.map((name) => join(home, "binding", name)),
    ...["-o", join(output, "tfjs_binding.node"), "-L", join(home, "deps", "lib")],
    ...linking,
  ]);
  if (!loadsQuietly) return;
  const quietSource = join(folder, "quiet-load.c");
  await writeFile(quietSource, quietLoadSource);
  await compile(compiler, [
    "-x",
    "c",
    "-shared",
    ...shared,
    quietSource,
    "-o",
    quietLoadFile(folder),
    "-ldl",
  ]);
}

async function findCompiler(): Promise<string> {
  const candidates = [process.env["CXX"] ?? "", "c++", "g++", "clang++"].filter((name) => name !== "");
  for (const candidate of candidates) {
    const output = await tryCommand(candidate, ["--version"]);
    if (output?.status === 0) return candidate;
  }
  throw new MachineError(
    `native engine: expected a C++ compiler (${candidates.join(", ")}), got none. ` +
      "Install one (Debian, Ubuntu: apt install g++; Fedora: dnf install gcc-c++; Alpine is not supported by TensorFlow).",
    "no-compiler",
  );
}

async function compile(compiler: string, parameters: readonly string[]): Promise<void> {
  await runCommand("native engine", compiler, parameters, {
    code: "compile",
    missing: "",
    failed: "The TensorFlow found here may be too old or too new for tfjs-node.",
  });
}

/** Loads the binding in another process and multiplies two matrices there. Returns TensorFlow's version. */
export async function verifyBinding(folder: string): Promise<string> {
  const file = join(bindingPackage(folder), "lib", "napi-v8", "tfjs_binding.node");
  const script = `
    process.env.TF_CPP_MIN_LOG_LEVEL = "3";
    const binding = require(${JSON.stringify(file)});
    const values = Float32Array.of(1, 2, 3, 4);
    const matrix = binding.createTensor([2, 2], binding.TF_FLOAT, values);
    const flag = (name) => ({ name, type: binding.TF_ATTR_BOOL, value: false });
    const attributes = [flag("transpose_a"), flag("transpose_b"), { name: "T", type: binding.TF_ATTR_TYPE, value: binding.TF_FLOAT }];
    const [product] = binding.executeOp("MatMul", attributes, [matrix, matrix], 1);
    require("node:fs").writeSync(1, JSON.stringify({ version: binding.TF_Version, product: [...binding.tensorDataSync(product.id)] }));`;
  const output = await tryCommand(process.execPath, ["-e", script]);
  const answer =
    output?.status === 0 ? (JSON.parse(output.stdout) as { version: string; product: number[] }) : undefined;
  if (answer && `${answer.product}` === "7,10,15,22") return answer.version;
  throw new MachineError(
    `native engine: expected the new binding to multiply two matrices, got ${answer ? `[${answer.product}]` : "a failure"}. ` +
      `The engine in use stays as it was.${output ? `\n${lastLines(output)}` : ""}`,
    "engine-not-working",
  );
}
