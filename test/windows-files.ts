/** Node's path and files as they are on Windows: paths under a drive are those of a folder here. */
import type { PlatformPath } from "node:path";

// The modules themselves, also where tests replace what is imported.
const nodePath = process.getBuiltinModule("node:path");
const { mkdtempSync } = process.getBuiltinModule("node:fs");
const { tmpdir } = process.getBuiltinModule("node:os");

/** The folder that drive C: stands for. */
export const drive = mkdtempSync(nodePath.join(tmpdir(), "keras-finetune-drive-c-"));

let rules: PlatformPath = nodePath.posix;

/** From now on `node:path` has Windows's rules. What is loaded by others, as the engine, is to be loaded before. */
export function followWindowsRules(): void {
  rules = nodePath.win32;
}

/** Returns the path here that a path of Windows stands for. */
export function placeOf(path: string): string {
  const onDrive = /^[Cc]:[\\/]?(.*)$/s.exec(path);
  const way = (onDrive?.[1] ?? path).replaceAll("\\", "/");
  return onDrive ? nodePath.posix.join(drive, way) : way;
}

/** Returns the module `node:path`, whose rules can change. */
export function pathModule(): object {
  const module = new Proxy(nodePath, { get: (_, name) => Reflect.get(rules, name) as unknown });
  return Object.defineProperties(
    {},
    Object.fromEntries(
      [...Object.keys(nodePath), "default"].map((name) => [
        name,
        {
          enumerable: true,
          get: () => (name === "default" ? module : (Reflect.get(rules, name) as unknown)),
        },
      ]),
    ),
  );
}

/** Functions whose second argument is a path too. */
const ofTwoPaths = /^(rename|copyFile|cp|link|symlink)(Sync)?$/;

/** Returns a module of files that takes Windows's paths, and gives them where it finds real ones. */
export function filesModule(original: object): object {
  const entries = Object.entries(original).map(([name, value]): [string, unknown] => {
    if (name === "default") return [name, filesModule(value as object)];
    if (name === "promises") return [name, filesModule(value as object)];
    return [name, typeof value === "function" && /^[a-z]/.test(name) ? translating(name, value) : value];
  });
  return Object.fromEntries(entries);
}

type Call = (...given: unknown[]) => unknown;

function translating(name: string, value: object): unknown {
  const call: Call = (...given) => {
    const paths = ofTwoPaths.test(name) ? 2 : 1;
    const changed = given.map((each, index) =>
      index < paths && typeof each === "string" ? placeOf(each) : each,
    );
    const result = Reflect.apply(value as Call, undefined, changed) as unknown;
    if (!name.startsWith("realpath")) return result;
    return result instanceof Promise ? result.then(named) : named(result);
  };
  return Object.assign(call, value);
}

/** Returns the path of Windows that a path here stands for. */
function named(path: unknown): unknown {
  if (typeof path !== "string" || !path.startsWith(drive)) return path;
  return `C:\\${path.slice(drive.length + 1).replaceAll("/", "\\")}`;
}
