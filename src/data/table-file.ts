/** Rows of a table in a file: `.csv`, `.tsv` and `.jsonl`. */
import { isUtf8 } from "node:buffer";
import { readFile, stat } from "node:fs/promises";
import { extname } from "node:path";
import { Readable } from "node:stream";
import { CsvError, parse } from "csv-parse";
import type { Json } from "../checkpoint.ts";
import { DataError } from "../errors.ts";
import { isBucketAddress } from "../storage/address.ts";
import { readFileBytes } from "./file-bytes.ts";

/** A value in a row: text from csv and tsv, any JSON from jsonl; undefined where a row of jsonl has none. */
export type Cell = Json | undefined;

export interface TableRow {
  /** The line on which the row ends, counted from 1. */
  readonly line: number;
  /** One cell for each of the columns. */
  readonly cells: readonly Cell[];
}

/** A table that is open for reading. */
export interface TableFile {
  readonly path: string;
  readonly columns: readonly string[];
  /** True if a comma separates the decimals: only where semicolons separate the cells. */
  readonly decimalComma: boolean;
  readonly warnings: readonly string[];
  /** Reads the rows, from the first one at every call. @throws {DataError} for a row that is not like the others. */
  rows(): AsyncIterable<TableRow>;
}

/** Returns whether a path names a table. */
export function isTablePath(path: string): boolean {
  return /^\.(csv|tsv|jsonl|ndjson)$/i.test(extname(path));
}

/**
 * Opens a table. Text is UTF-8 or UTF-16 with a byte order mark, else Windows-1252, with a warning; commas, semicolons or tabs
 * separate the cells of a `.csv`, as its first line shows.
 *
 * @throws {DataError} if there is no such file, or if it has no first line of column names that differ.
 */
export async function openTable(path: string): Promise<TableFile> {
  const { text, encoding } = await readText(path);
  const warnings =
    encoding === "windows-1252"
      ? [`${path}: expected UTF-8, got other bytes, which are read as Windows-1252.`]
      : [];
  const table = /^\.(jsonl|ndjson)$/i.test(extname(path))
    ? openJsonLines(path, text)
    : await openCsv(path, text);
  return { ...table, path, warnings };
}

type Opened = Omit<TableFile, "path" | "warnings">;

async function openCsv(path: string, text: Buffer): Promise<Opened> {
  const delimiter = delimiterOf(path, text);
  const rows = () => csvRows(path, text, delimiter);
  const first = await rows()[Symbol.asyncIterator]().next();
  const names = first.done ? [] : first.value.cells.map(String);
  requireNames(path, names);
  return {
    columns: names,
    decimalComma: delimiter === ";",
    async *rows() {
      let isHeader = true;
      for await (const row of rows()) {
        if (!isHeader) yield row;
        isHeader = false;
      }
    },
  };
}

const chunkBytes = 1 << 20;

async function* csvRows(path: string, text: Buffer, delimiter: string): AsyncGenerator<TableRow, void, void> {
  const chunks = function* () {
    for (let from = 0; from < text.length; from += chunkBytes) yield text.subarray(from, from + chunkBytes);
  };
  const parser = Readable.from(chunks(), { objectMode: false }).pipe(
    parse({ delimiter, trim: true, skip_empty_lines: true, info: true }),
  );
  try {
    for await (const { record, info } of parser as AsyncIterable<{
      record: string[];
      info: { lines: number };
    }>) {
      yield { line: info.lines, cells: record };
    }
  } catch (error) {
    throw error instanceof CsvError ? csvError(path, error) : error;
  }
}

function csvError(path: string, error: CsvError): DataError {
  const line = Number(error["lines"]);
  if (error.code === "CSV_RECORD_INCONSISTENT_FIELDS_LENGTH") {
    const record = error["record"] as readonly string[];
    const columns = /expect (\d+)/.exec(error.message)?.[1] ?? "as many";
    return rowError(
      path,
      line,
      `expected ${columns} cells as in the first line, got ${record.length}. Quote cells that hold the separator.`,
    );
  }
  if (error.code.includes("QUOTE")) {
    return rowError(path, line, 'expected quotes around a whole cell, and "" for one inside, got others.');
  }
  return rowError(path, line, `cannot be read: ${error.message.split("\n")[0]}.`);
}

/** Counts separators outside quotes in the first line. */
function delimiterOf(path: string, text: Buffer): string {
  const start = text.subarray(0, 65536).toString("utf8");
  const bare = start.replace(/"(?:[^"]|"")*"/g, "");
  const [line = ""] = bare.split(/\r\n|\n|\r/, 1);
  const candidates = extname(path).toLowerCase() === ".tsv" ? ["\t", ",", ";"] : [",", ";", "\t"];
  const counts = candidates.map((candidate) => line.split(candidate).length - 1);
  const [asNamed = 0] = counts;
  if (candidates[0] === "\t" && asNamed > 0) return "\t";
  return candidates[counts.indexOf(Math.max(...counts))] ?? ",";
}

function openJsonLines(path: string, text: Buffer): Opened {
  const columns = new Set<string>();
  for (const { value } of jsonObjects(path, text)) for (const name of Object.keys(value)) columns.add(name);
  const names = [...columns];
  requireNames(path, names);
  return {
    columns: names,
    decimalComma: false,
    async *rows() {
      for (const { line, value } of jsonObjects(path, text)) {
        yield { line, cells: names.map((name) => value[name]) };
      }
    },
  };
}

function* jsonObjects(
  path: string,
  text: Buffer,
): Generator<{ readonly line: number; readonly value: Readonly<Record<string, Json | undefined>> }> {
  let line = 0;
  for (let from = 0; from < text.length; ) {
    const end = text.indexOf(10, from);
    const written = text
      .subarray(from, end < 0 ? text.length : end)
      .toString("utf8")
      .trim();
    from = end < 0 ? text.length : end + 1;
    line++;
    if (written === "") continue;
    const value = parsedLine(path, line, written);
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw rowError(path, line, `expected a JSON object, {"column": value, …}, got ${shortened(written)}.`);
    }
    yield { line, value: value as Readonly<Record<string, Json>> };
  }
}

function parsedLine(path: string, line: number, written: string): Json {
  try {
    return JSON.parse(written) as Json;
  } catch {
    const strange = /[:[,]\s*(-?(?:NaN|Infinity))\b/.exec(written)?.[1];
    if (strange !== undefined) throw rowError(path, line, `expected finite numbers, got ${strange}.`);
    throw rowError(path, line, `expected one JSON object per line, got ${shortened(written)}.`);
  }
}

/** Returns an error that names a table's line. */
export function rowError(path: string, line: number, what: string, code = "table-row"): DataError {
  return new DataError(`${path}, line ${line}: ${what}`, code);
}

export function shortened(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}

function requireNames(path: string, names: readonly string[]): void {
  if (names.length === 0) {
    throw new DataError(
      `${path}: expected a first line of column names and rows, got nothing.`,
      "table-empty",
    );
  }
  const empty = names.findIndex((name) => name.trim() === "");
  // A table that pandas wrote with its index begins with a column without a name.
  if (empty > 0)
    throw new DataError(
      `${path}: column ${empty + 1} has no name. Name it in the first line.`,
      "table-columns",
    );
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice === undefined) return;
  throw new DataError(`${path}: two columns are called "${twice}". Rename one.`, "table-columns");
}

const maxBytes = 2 ** 31 - 1;

/** Returns the file's text as UTF-8 without a byte order mark. */
async function readText(path: string): Promise<{ readonly text: Buffer; readonly encoding: string }> {
  if (isBucketAddress(path)) {
    const found = await readFileBytes(path, maxBytes);
    if (typeof found !== "string") return decodedText(found);
    throw new DataError(`${path}: ${found} Pass a table: .csv, .tsv or .jsonl.`, "data-missing");
  }
  const status = await stat(path).catch((error: NodeJS.ErrnoException) => {
    const reason = error.code === "ENOENT" ? "no such file" : `cannot be read (${error.code})`;
    throw new DataError(`${path}: ${reason}. Pass a table: .csv, .tsv or .jsonl.`, "data-missing");
  });
  if (!status.isFile()) throw new DataError(`${path}: expected a table, got a folder.`, "data-missing");
  if (status.size > maxBytes) {
    throw new DataError(
      `${path}: too large: expected at most ${maxBytes} bytes, got ${status.size}. Split it.`,
      "table-size",
    );
  }
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    throw new DataError(`${path}: cannot be read (${error.code}).`, "data-unreadable");
  });
  return decodedText(bytes);
}

function decodedText(bytes: Buffer): { readonly text: Buffer; readonly encoding: string } {
  const encoding = encodingOf(bytes);
  if (encoding === "utf-8") {
    const hasMark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
    return { text: hasMark ? bytes.subarray(3) : bytes, encoding };
  }
  return { text: Buffer.from(new TextDecoder(encoding).decode(bytes)), encoding };
}

function encodingOf(bytes: Buffer): "utf-8" | "utf-16le" | "utf-16be" | "windows-1252" {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return "utf-16le";
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return "utf-16be";
  return isUtf8(bytes) ? "utf-8" : "windows-1252";
}
