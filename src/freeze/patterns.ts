import { UsageError } from "../errors.ts";

/** `/re/flags` as the whole pattern. */
const regexPattern = /^\/(.*)\/([dgimsuvy]*)$/su;
const regexEnd = /^\/[dgimsuvy]*\s*(?:,|$)/u;

/** The patterns of a comma list, trimmed, empty ones left out. A comma inside `/…/` or `[…]` belongs to its pattern. */
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

/** Up to the comma that ends the first pattern of `text`, or to the end. */
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

/** Where the slash stands that ends the regex at the start of `text`; null where none does. */
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
 * The regular expression of a `/re/flags` pattern, null for any other.
 * @throws {UsageError} for one that does not compile.
 */
export function regexOf(pattern: string): RegExp | null {
  const parts = regexPattern.exec(pattern);
  if (!parts) return null;
  try {
    return new RegExp(parts[1]!, parts[2]!.replace(/[gy]/g, ""));
  } catch (error) {
    throw new UsageError(
      `${pattern}: expected a regular expression, got one that does not compile (${(error as Error).message}).`,
      "freeze-regex",
    );
  }
}

/** Whether the pattern is a glob: it has `*`, `?` or a `[…]`. */
export function isGlob(pattern: string): boolean {
  return /[*?]|\[.+\]/u.test(pattern);
}

/**
 * The glob as a regular expression on a whole path: `*` and `?` stay within one name, `**` does not.
 * @throws {UsageError} for a `[…]` that is no set of characters.
 */
export function globExpression(pattern: string): RegExp {
  let source = "";
  for (let index = 0; index < pattern.length; index++) {
    const character = pattern[index]!;
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

function characterClass(members: string): string {
  const negated = /^[!^]/u.test(members);
  const listed = (negated ? members.slice(1) : members).replace(/[\\\][^]/gu, "\\$&");
  return `[${negated ? "^" : ""}${listed}]`;
}
