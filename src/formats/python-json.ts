import type { Json } from "../checkpoint.ts";
import { KerasFileError } from "../errors.ts";

/**
 * @file JSON as Python's `json` module writes and reads it: `NaN`, `Infinity`, integers of any size, and floats that
 * remain floats. JavaScript has only one number type, so each object or array that {@link parsePythonJson} returns
 * remembers the spelling of its numbers under a symbol, which object spread copies. A number that is edited loses its
 * spelling, since it no longer equals it.
 */

const spelling: unique symbol = Symbol("how numbers were written");

type Spellings = Readonly<Record<string | number, string>>;

/**
 * Arguments that Keras wants as floats: a whole number without a remembered spelling is written as `1.0` under these
 * keys.
 */
const floatKeys: ReadonlySet<string> = new Set(
  `learning_rate initial_learning_rate lr rate epsilon momentum beta_1 beta_2 rho decay weight_decay clipnorm clipvalue
   global_clipnorm ema_momentum decay_rate label_smoothing l1 l2 stddev mean minval maxval gain negative_slope threshold alpha
   max_value dropout recurrent_dropout renorm_momentum initial_accumulator_value gamma temperature factor`.split(
    /\s+/,
  ),
);

/** Parses a JSON text. @throws {KerasFileError} naming `label`, the position and the text found there. */
export function parsePythonJson(text: string, label: string): Json {
  let at = 0;
  const fail = (expected: string): never => {
    const found = at < text.length ? JSON.stringify(text.slice(at, at + 12)) : "the end";
    throw new KerasFileError(`${label}: JSON: position ${at}: expected ${expected}, got ${found}.`, "json");
  };
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    if (found !== undefined) at += found.length;
    return found;
  };
  const skip = (mark: string): boolean => {
    match(blank);
    if (text[at] !== mark) return false;
    at += 1;
    return true;
  };
  const string = (): string => {
    const literal = match(stringPattern) ?? fail("a string");
    try {
      return JSON.parse(literal) as string;
    } catch {
      at -= literal.length;
      return fail("a string");
    }
  };
  /** The spelling of the number that was just read, if JavaScript would write it differently. */
  let numberText: string | undefined;
  const value = (depth: number): Json => {
    if (depth > deepest) fail(`no more than ${deepest} levels`);
    match(blank);
    const container = text[at] === "{" ? object(depth) : text[at] === "[" ? array(depth) : undefined;
    numberText = undefined;
    if (container !== undefined) return container;
    if (text[at] === '"') return string();
    const word = match(wordPattern);
    if (word !== undefined) return words[word]!;
    const literal = match(numberPattern) ?? fail("a value");
    const number = Number(literal);
    if (String(number) !== literal) numberText = literal;
    return number;
  };
  const array = (depth: number): Json => {
    at += 1;
    const items: Json[] = [];
    const spellings: Record<number, string> = {};
    if (!skip("]")) {
      do {
        items.push(value(depth + 1));
        if (numberText !== undefined) spellings[items.length - 1] = numberText;
      } while (skip(","));
      if (!skip("]")) fail("] or ,");
    }
    return remember(items, spellings);
  };
  const object = (depth: number): Json => {
    at += 1;
    const entries: Record<string, Json> = {};
    const spellings: Record<string, string> = {};
    if (!skip("}")) {
      do {
        match(blank);
        const key = string();
        if (!skip(":")) fail(":");
        const item = value(depth + 1);
        Object.defineProperty(entries, key, {
          value: item,
          enumerable: true,
          configurable: true,
          writable: true,
        });
        if (numberText !== undefined) spellings[key] = numberText;
        else delete spellings[key];
      } while (skip(","));
      if (!skip("}")) fail("} or ,");
    }
    return remember(entries, spellings);
  };
  const document = value(0);
  match(blank);
  if (at < text.length) fail("the end");
  return document;
}

function remember<T extends object>(container: T, spellings: Spellings): T {
  if (Object.keys(spellings).length > 0) Object.assign(container, { [spelling]: spellings });
  return container;
}

const blank = /[ \t\r\n]*/y;
const stringPattern = /"(?:[^"\\]|\\.)*"/y;
const numberPattern = /-?(?:Infinity|(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)/y;
const wordPattern = /(?:null|true|false|NaN)\b/y;
const words: Readonly<Record<string, Json>> = { null: null, true: true, false: false, NaN: Number.NaN };
/** The nesting depth at which Python's own parser stops by default. */
const deepest = 990;

/** Writes `value` like Python's `json.dumps`, with every number spelled as it was read unless it was changed. */
export function stringifyPythonJson(value: Json): string {
  return write(value, undefined, undefined);
}

function write(value: Json, written: string | undefined, key: string | undefined): string {
  if (value === null) return "null";
  switch (typeof value) {
    case "boolean":
      return String(value);
    case "number":
      return writeNumber(value, written, key);
    case "string":
      return writeString(value);
    default: {
      const spellings = spellingsOf(value);
      if (Array.isArray(value)) {
        const items = (value as readonly Json[]).map((item, index) => write(item, spellings?.[index], key));
        return `[${items.join(", ")}]`;
      }
      const entries = Object.entries(value).filter(([, item]) => item !== undefined);
      return `{${entries.map(([name, item]) => `${writeString(name)}: ${write(item, spellings?.[name], name)}`).join(", ")}}`;
    }
  }
}

function spellingsOf(value: object): Spellings | undefined {
  return (value as { [spelling]?: Spellings })[spelling];
}

function writeNumber(value: number, written: string | undefined, key: string | undefined): string {
  if (written !== undefined && Object.is(Number(written), value)) return written;
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "Infinity" : "-Infinity";
  if (Object.is(value, -0)) return "-0.0";
  const text = String(value);
  return key !== undefined && floatKeys.has(key) && /^-?\d+$/.test(text) ? `${text}.0` : text;
}

function writeString(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
