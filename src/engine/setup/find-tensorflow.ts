import { closeSync, existsSync, fstatSync, mkdirSync, openSync, readdirSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { KerasFileError, MachineError } from "../../errors.ts";
import { optionName } from "../../options.ts";
import { readZip } from "../../zip/reader.ts";
import { runCommand, tryCommand } from "./run-command.ts";

/** TensorFlow's libraries and headers. */
export interface TensorFlowFiles {
  /** The `tensorflow` folder of a wheel. */
  readonly folder: string;
  /** A description of their source for messages. */
  readonly origin: string;
  /** True if this package created the folder, so that the libraries may be moved. */
  readonly temporary: boolean;
}

export interface TensorFlowChoice {
  /** A tensorflow or tensorflow-cpu wheel, or the folder of an unpacked or installed one. */
  readonly wheel?: string | undefined;
  /** The Python that is searched for an installed TensorFlow and used for `pip download`. */
  readonly python?: string | undefined;
}

/** The version that is downloaded if none is installed. */
export const tensorflowRelease = "2.21.0";

/** The libraries that the binding is linked to. */
export const tensorflowLibraries = ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"] as const;

const machines: Readonly<Record<string, string>> = { x64: "x86_64", arm64: "aarch64" };

/**
 * Finds TensorFlow: in the given wheel, else installed for a Python of this machine, else downloaded by pip into
 * `scratch`.
 * @throws {MachineError} if there is none of these.
 */
export async function findTensorFlow(choice: TensorFlowChoice, scratch: string): Promise<TensorFlowFiles> {
  if (choice.wheel) return givenWheel(choice.wheel, scratch);
  const pythons = choice.python ? [choice.python] : defaultPythons();
  for (const python of pythons) {
    const folder = await installedTensorFlow(python);
    if (folder) return { folder, origin: `installed for ${python}`, temporary: false };
  }
  return downloadedTensorFlow(pythons, scratch);
}

function defaultPythons(): string[] {
  const { VIRTUAL_ENV: environment } = process.env;
  return [...(environment ? [join(environment, "bin", "python")] : []), "python3", "python"];
}

async function givenWheel(wheel: string, scratch: string): Promise<TensorFlowFiles> {
  const path = resolve(wheel);
  if (!existsSync(path)) {
    throw new MachineError(
      `${wheel}: expected a TensorFlow wheel, got no such file. Give its path.`,
      "wheel",
    );
  }
  if (!statSync(path).isDirectory()) return unpackedWheel(path, scratch, wheel);
  const folder = [path, join(path, "tensorflow")].find(isComplete);
  if (folder) return { folder, origin: wheel, temporary: false };
  throw new MachineError(
    `${wheel}: expected ${tensorflowLibraries.join(" and ")} in it, got none. Give a tensorflow-cpu wheel for Linux.`,
    "wheel",
  );
}

async function unpackedWheel(file: string, scratch: string, origin: string): Promise<TensorFlowFiles> {
  await extractNeeded(file, scratch);
  const folder = join(scratch, "tensorflow");
  if (isComplete(folder)) return { folder, origin, temporary: true };
  throw new MachineError(
    `${origin}: expected ${tensorflowLibraries.join(" and ")} in it, got none. Give a tensorflow-cpu wheel for Linux.`,
    "wheel",
  );
}

/** Unpacks the libraries and headers of a wheel into `folder`. */
async function extractNeeded(wheel: string, folder: string): Promise<void> {
  const descriptor = openSync(wheel, "r");
  try {
    for (const entry of readZip(descriptor, fstatSync(descriptor).size, wheel).values()) {
      if (!isNeeded(entry.name)) continue;
      const target = join(folder, entry.name);
      mkdirSync(dirname(target), { recursive: true });
      await entry.extractTo(target);
    }
  } catch (error) {
    if (!(error instanceof KerasFileError)) throw error;
    throw new MachineError(`${error.message} Give a whole tensorflow-cpu wheel.`, "wheel");
  } finally {
    closeSync(descriptor);
  }
}

function isNeeded(name: string): boolean {
  const isLibrary = tensorflowLibraries.some((library) => name === `tensorflow/${library}`);
  return isLibrary || /^tensorflow\/include\/(tensorflow|tsl|xla)\/.*\.h$/.test(name);
}

function isComplete(folder: string): boolean {
  return [...tensorflowLibraries, "include/tensorflow/c/c_api.h"].every((file) =>
    existsSync(join(folder, file)),
  );
}

async function installedTensorFlow(python: string): Promise<string | undefined> {
  const script =
    "import importlib.util as u; s = u.find_spec('tensorflow'); print(s.submodule_search_locations[0] if s else '')";
  const output = await tryCommand(python, ["-c", script]);
  const folder = output?.status === 0 ? output.stdout.trim() : "";
  return folder && isComplete(folder) ? folder : undefined;
}

async function downloadedTensorFlow(pythons: readonly string[], scratch: string): Promise<TensorFlowFiles> {
  for (const python of pythons) {
    const pip = await tryCommand(python, ["-m", "pip", "--version"]);
    if (pip?.status !== 0) continue;
    await runCommand(`tensorflow-cpu ${tensorflowRelease}`, python, downloadParameters(scratch), {
      code: "no-tensorflow",
      missing: "",
      failed: `Download a tensorflow-cpu wheel by other means and give it as ${optionName("wheel")}.`,
    });
    const wheel = readdirSync(scratch).find((name) => name.endsWith(".whl"));
    if (wheel !== undefined) return unpackedWheel(join(scratch, wheel), scratch, wheel);
  }
  throw new MachineError(
    `TensorFlow: expected a Python with TensorFlow or pip, got none (tried ${pythons.join(", ")}). ` +
      `Install Python 3 with pip, or give a tensorflow-cpu wheel as ${optionName("wheel")}.`,
    "no-python",
    "wheel",
  );
}

/** Returns pip's parameters for a fixed Python and platform: the libraries are the same for every Python. */
function downloadParameters(folder: string): string[] {
  const machine = machines[process.arch];
  const platforms = ["manylinux_2_27", "manylinux2014"].flatMap((tag) => ["--platform", `${tag}_${machine}`]);
  return [
    ...["-m", "pip", "download", `tensorflow-cpu==${tensorflowRelease}`, "--no-deps", "--only-binary=:all:"],
    ...["--python-version", "3.12", "--implementation", "cp", "--abi", "cp312", ...platforms],
    ...["--dest", folder, "--quiet", "--disable-pip-version-check"],
  ];
}
