import { readFileSync } from "node:fs";
import type { JsonObject } from "../checkpoint.ts";
import { KerasFileError } from "../errors.ts";
import { systemError } from "../hdf5/system-error.ts";
import { isObject } from "../topology/config-values.ts";
import { parsePythonJson } from "./python-json.ts";

/** The object in a JSON file. @throws {KerasFileError} naming the file, where it cannot be read or holds none. */
export function readJsonFile(path: string): JsonObject {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw systemError(path, error);
  }
  const json = parsePythonJson(text, path);
  if (isObject(json)) return json;
  throw new KerasFileError(`${path}: expected an object, got ${text.slice(0, 40)}.`, "structure");
}
