/** @file Places of files as all machines that share work spell them. */
import type { PlatformPath } from "node:path";
import path from "node:path";

/** Returns the path of a file below a folder, with slashes on every system: what is hashed of it is the same everywhere. */
export function sharedName(folder: string, file: string, rules: PlatformPath = path): string {
  return rules.relative(folder, file).replaceAll(rules.sep, "/");
}

/** Tells if a file lies below a folder. On Windows a file of another drive, or of another server, does not. */
export function isBelow(folder: string, file: string, rules: PlatformPath = path): boolean {
  const way = rules.relative(folder, file);
  return way !== ".." && !way.startsWith(`..${rules.sep}`) && !rules.isAbsolute(way);
}
