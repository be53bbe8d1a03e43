import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { KerasFileError, MachineError } from "../../errors.ts";
import { optionName } from "../../options.ts";
import { readZip } from "../../zip/reader.ts";
import { tensorflowRelease, wheelPlatform } from "./platform.ts";
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
  /** Called as a download goes on. */
  readonly onDownload?: ((what: string, bytes: number, total: number) => void) | undefined;
}

const { wheel: wheelPackage, libraries } = wheelPlatform();

const wheelName = `${wheelPackage} ${tensorflowRelease}`;

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
  return downloadedTensorFlow(pythons, scratch, choice.onDownload);
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
    `${wheel}: expected ${libraries.join(" and ")} in it, got none. Give a ${wheelPackage} wheel for this system.`,
    "wheel",
  );
}

async function unpackedWheel(file: string, scratch: string, origin: string): Promise<TensorFlowFiles> {
  await extractNeeded(file, scratch);
  const folder = join(scratch, "tensorflow");
  if (isComplete(folder)) return { folder, origin, temporary: true };
  throw new MachineError(
    `${origin}: expected ${libraries.join(" and ")} in it, got none. Give a ${wheelPackage} wheel for this system.`,
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
    throw new MachineError(`${error.message} Give a whole ${wheelPackage} wheel.`, "wheel");
  } finally {
    closeSync(descriptor);
  }
}

function isNeeded(name: string): boolean {
  const isLibrary = libraries.some((library) => name === `tensorflow/${library}`);
  return isLibrary || /^tensorflow\/include\/(tensorflow|tsl|xla)\/.*\.h$/.test(name);
}

function isComplete(folder: string): boolean {
  return [...libraries, "include/tensorflow/c/c_api.h"].every((file) => existsSync(join(folder, file)));
}

async function installedTensorFlow(python: string): Promise<string | undefined> {
  const script =
    "import importlib.util as u; s = u.find_spec('tensorflow'); print(s.submodule_search_locations[0] if s else '')";
  const output = await tryCommand(python, ["-c", script]);
  const folder = output?.status === 0 ? output.stdout.trim() : "";
  return folder && isComplete(folder) ? folder : undefined;
}

async function downloadedTensorFlow(
  pythons: readonly string[],
  scratch: string,
  onDownload: TensorFlowChoice["onDownload"],
): Promise<TensorFlowFiles> {
  for (const python of pythons) {
    const pip = await tryCommand(python, ["-m", "pip", "--version"]);
    if (pip?.status !== 0) continue;
    const tellsBytes = onDownload !== undefined && tellsProgress(pip.stdout);
    await runCommand(wheelName, python, downloadParameters(scratch, tellsBytes), {
      ...(onDownload && { onOutput: (text) => tellProgress(text, onDownload) }),
      code: "no-tensorflow",
      missing: "",
      failed: `Download a ${wheelPackage} wheel by other means and give it as ${optionName("wheel")}.`,
    });
    const wheel = readdirSync(scratch).find((name) => name.endsWith(".whl"));
    if (wheel !== undefined) return unpackedWheel(join(scratch, wheel), scratch, wheel);
  }
  throw new MachineError(
    `TensorFlow: expected a Python with TensorFlow or pip, got none (tried ${pythons.join(", ")}). ` +
      `Install Python 3 with pip, or give a ${wheelPackage} wheel as ${optionName("wheel")}.`,
    "no-python",
    "wheel",
  );
}

/** Tells from `pip --version` if pip writes how far a download is, which it does from 24.1 on. */
export function tellsProgress(version: string): boolean {
  const [major = 0, minor = 0] = (/^pip (\d+)\.(\d+)/.exec(version) ?? []).slice(1).map(Number);
  return major > 24 || (major === 24 && minor >= 1);
}

/** Passes on the last of pip's lines `Progress 1234 of 5678` in a piece of its output. */
export function tellProgress(
  output: string,
  onDownload: (what: string, bytes: number, total: number) => void,
): void {
  const last = [...output.matchAll(/^Progress (\d+) of (\d+)$/gm)].at(-1);
  if (last) onDownload(wheelName, Number(last[1]), Number(last[2]));
}

/** Returns pip's parameters for a fixed Python and this platform: the libraries are the same for every Python. */
function downloadParameters(folder: string, tellsBytes: boolean): string[] {
  const { tag, sha256 } = wheelPlatform();
  const requirements = join(folder, "requirements.txt");
  mkdirSync(folder, { recursive: true });
  writeFileSync(requirements, `${wheelPackage}==${tensorflowRelease} --hash=sha256:${sha256}\n`);
  return [
    ...["-m", "pip", "download", "--requirement", requirements, "--no-deps", "--only-binary=:all:"],
    ...["--python-version", "3.12", "--implementation", "cp", "--abi", "cp312", "--platform", tag],
    ...["--dest", folder, "--disable-pip-version-check"],
    ...(tellsBytes ? ["--progress-bar", "raw"] : ["--quiet"]),
  ];
}
