import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { UsageError } from "../index.ts";
import type { Flag } from "./flag.ts";
import { flagMeant } from "./other-names.ts";

/**
 * Reads a config file of flags: JSON or YAML, the flags' names as keys, with or without dashes before them.
 * @throws {UsageError} for a file that is neither, a key that is no flag, or a value that no flag takes.
 */
export function readConfigFile(
  path: string,
  flags: ReadonlyMap<string, Flag<unknown>>,
): Readonly<Record<string, unknown>> {
  const entries = Object.entries(parsed(path)).map(
    ([key, value]) => [key.replace(/^--/, ""), value] as const,
  );
  for (const [key] of entries) {
    if (flags.has(key)) continue;
    const near = flagMeant(key, flags);
    const hint = near === undefined ? "finetune help lists the flags." : `Did you mean ${near}?`;
    throw new UsageError(`${path}: ${key}: unknown flag. ${hint}`, "config-key", "config");
  }
  return Object.fromEntries(entries);
}

/** JSON is YAML too. */
function parsed(path: string): Readonly<Record<string, unknown>> {
  const { parseDocument } = createRequire(import.meta.url)("yaml") as typeof import("yaml");
  const document = parseDocument(textOf(path));
  const [error] = document.errors;
  if (error) {
    throw new UsageError(`${path}: expected JSON or YAML, got ${error.message.trim()}`, "config", "config");
  }
  const value: unknown = document.toJS();
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>;
  }
  throw new UsageError(
    `${path}: expected flags by name, such as "epochs: 10", got ${Array.isArray(value) ? "a list" : JSON.stringify(value)}.`,
    "config",
    "config",
  );
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code === "ENOENT" ? "no such file" : String(error);
    throw new UsageError(
      `${path}: expected a config file in JSON or YAML, got ${reason}.`,
      "config",
      "config",
    );
  }
}
