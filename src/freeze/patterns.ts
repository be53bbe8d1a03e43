import { UsageError } from "../errors.ts";

/** Matches a pattern that is a `/regex/flags` as a whole. */
const regexPattern = /^\/(.*)\/([dgimsuvy]*)$/su;
const regexEnd = /^\/[dgimsuvy]*\s*(?:,|$)/u;

/**
 * Splits a comma-separated list into trimmed, nonempty patterns. A comma inside `/…/` or `[…]` belongs to its pattern.
 */
export function parsePatterns(text: string): string[] {
  const patterns: string[] = [];
  let rest = text.trimStart();
  while (rest !== "") {
    const length = patternLength(rest);
    const pattern = rest.slice(0, length).trim();
    if (pattern !== "") patterns.push(pattern);
    rest = rest.slice(length + 1).trimStart();
  }
  return patterns;
}

/** Returns the length of the first pattern of `text`: up to the comma that ends it, or to the end. */
function patternLength(text: string): number {
  if (text.startsWith("/")) {
    const end = endOfRegex(text);
    if (end !== null) return text.indexOf(",", end) === -1 ? text.length : text.indexOf(",", end);
  }
  let depth = 0;
  for (let index = 0; index < text.length; index++) {
    const character = text[index];
    if (character === "[") depth++;
    else if (character === "]") depth = Math.max(0, depth - 1);
    else if (character === "," && (depth === 0 || !text.includes("]", index))) return index;
  }
  return text.length;
}

/** Returns the position of the slash that ends the regex at the start of `text`, null if there is none. */
function endOfRegex(text: string): number | null {
  let inClass = false;
  for (let index = 1; index < text.length; index++) {
    const character = text[index];
    if (character === "\\") index++;
    else if (character === "[") inClass = true;
    else if (character === "]") inClass = false;
    else if (character === "/" && !inClass && regexEnd.test(text.slice(index))) return index;
  }
  return null;
}

/**
 * Compiles a `/regex/flags` pattern. Returns null for any other pattern.
 * @throws {UsageError} if the regular expression does not compile.
 */
export function regexOf(pattern: string): RegExp | null {
  const parts = regexPattern.exec(pattern);
  if (!parts) return null;
  const [, source = "", flags = ""] = parts;
  try {
    return new RegExp(source, flags.replace(/[gy]/g, ""));
  } catch (error) {
    throw new UsageError(
      `${pattern}: expected a valid regular expression, got an error: ${(error as Error).message}.`,
      "freeze-regex",
    );
  }
}

/** Returns whether the pattern is a glob, which contains `*`, `?` or `[…]`. */
export function isGlob(pattern: string): boolean {
  return /[*?]|\[.+\]/u.test(pattern);
}

/**
 * Compiles a glob to a regular expression for a whole path. `*` and `?` match within one name, `**` across slashes.
 * @throws {UsageError} if a `[…]` is not a set of characters.
 */
export function globExpression(pattern: string): RegExp {
  let source = "";
  for (let index = 0; index < pattern.length; index++) {
    const character = pattern.charAt(index);
    const close = character === "[" ? pattern.indexOf("]", index + 2) : -1;
    if (character === "*") {
      const crossing = pattern[index + 1] === "*";
      source += crossing ? ".*" : "[^/]*";
      if (crossing) index++;
    } else if (character === "?") {
      source += "[^/]";
    } else if (close > 0) {
      source += characterClass(pattern.slice(index + 1, close));
      index = close;
    } else {
      source += character.replace(/[\\^$.|+()[\]{}]/u, "\\$&");
    }
  }
  try {
    return new RegExp(`^${source}$`, "su");
  } catch {
    throw new UsageError(
      `${pattern}: expected a set of characters in [ ], got an empty range.`,
      "freeze-glob",
    );
  }
}

/** Returns the character class of a regular expression for the contents of a `[…]`, which `!` or `^` negates. */
function characterClass(members: string): string {
  const negated = /^[!^]/u.test(members);
  const listed = (negated ? members.slice(1) : members).replace(/[\\\][^]/gu, "\\$&");
  return `[${negated ? "^" : ""}${listed}]`;
}
