/** @file The vocabulary of a text classifier of KerasHub: files beside its weights, and arguments of its tokenizer in a checkpoint. */
import type { Json, JsonObject } from "../../checkpoint.ts";
import { isObject } from "../../topology/config-values.ts";
import { argumentsKey } from "../../topology/hub-keys.ts";
import { parsePythonJson } from "../python-json.ts";

/** One file of a vocabulary. */
interface Asset {
  readonly file: string;
  readonly argument: "vocabulary" | "merges" | "proto";
  read(bytes: Uint8Array, label: string): Json;
  write(value: Json): Uint8Array;
  /** Value of the argument in a file's config; undefined where the argument is absent. */
  readonly stored: null | undefined;
}

const words: Asset = {
  file: "vocabulary.txt",
  argument: "vocabulary",
  read: (bytes) => linesOf(bytes),
  write: (value) => linesAs(value),
  stored: null,
};

const ids: Asset = {
  file: "vocabulary.json",
  argument: "vocabulary",
  read: (bytes, label) => parsePythonJson(new TextDecoder().decode(bytes), label),
  // Tokens are no names of arguments, whose numbers Python would want as floats.
  write: (value) => Buffer.from(JSON.stringify(value)),
  stored: undefined,
};

const merges: Asset = {
  file: "merges.txt",
  argument: "merges",
  read: (bytes) => linesOf(bytes),
  write: (value) => linesAs(value),
  stored: undefined,
};

const model: Asset = {
  file: "vocabulary.spm",
  argument: "proto",
  read: (bytes) => Buffer.from(bytes).toString("base64"),
  write: (value) => Buffer.from(String(value), "base64"),
  stored: null,
};

/** The files of each tokenizer's vocabulary (`save_assets` in `keras_hub/src/tokenizers/`). */
const assetsOf: Readonly<Record<string, readonly Asset[]>> = {
  AlbertTokenizer: [model],
  BertTokenizer: [words],
  DebertaV3Tokenizer: [model],
  DistilBertTokenizer: [words],
  ElectraTokenizer: [words],
  RobertaTokenizer: [ids, merges],
};

/** Splits lines as Python reads them: without spaces at their ends. */
function linesOf(bytes: Uint8Array): readonly string[] {
  const lines = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes).split(/\r\n|\n|\r/);
  if (lines.at(-1) === "") lines.pop();
  return lines.map((line) => line.replace(/[^\S\ufeff]+$/u, ""));
}

function linesAs(value: Json): Uint8Array {
  return Buffer.from((value as readonly string[]).map((line) => `${line}\n`).join(""));
}

/**
 * Returns the config with the vocabulary of its tokenizer among the tokenizer's arguments. A model without those files is returned as it
 * is: it takes token ids, and no texts.
 * @param read Returns a file of the vocabulary by its name, undefined where there is none.
 */
export function withTokenizerAssets(
  modelConfig: JsonObject,
  read: (file: string) => Uint8Array | undefined,
): JsonObject {
  return editTokenizer(modelConfig, (className, config) => {
    const found = (assetsOf[className] ?? []).map((asset) => [asset, read(asset.file)] as const);
    if (found.some(([, bytes]) => bytes === undefined)) return config;
    const values = found.map(([{ argument, read: parse, file }, bytes]) => [
      argument,
      parse(bytes ?? new Uint8Array(), file),
    ]);
    return { ...config, ...Object.fromEntries(values) };
  });
}

/** Returns the config of a class of KerasHub as its files hold it, without the vocabulary, and the files of the vocabulary by name. */
export function splitTokenizerAssets(entry: JsonObject): {
  readonly entry: JsonObject;
  readonly files: ReadonlyMap<string, Uint8Array>;
} {
  const files = new Map<string, Uint8Array>();
  const stripped = editTokenizer(entry, (className, config) => {
    const given = Object.entries(config).filter(([, value]) => value !== null);
    const assets = (assetsOf[className] ?? []).filter(({ argument }) =>
      given.some(([key]) => key === argument),
    );
    for (const { file, argument, write } of assets) files.set(file, write(config[argument] ?? null));
    const left = { ...config } as Record<string, Json>;
    for (const { argument, stored } of assets) {
      if (stored === undefined) delete left[argument];
      else left[argument] = stored;
    }
    return assets.length > 0 ? left : config;
  });
  return { entry: stripped, files };
}

/** Returns the entry of a class, or the config built from it, with an edited config of its tokenizer. */
function editTokenizer(
  entry: JsonObject,
  edit: (className: string, config: JsonObject) => JsonObject,
): JsonObject {
  return editedAt(
    entry,
    [argumentsKey in entry ? argumentsKey : "config", "preprocessor", "config", "tokenizer"],
    edit,
  );
}

function editedAt(
  json: JsonObject,
  [key, ...rest]: readonly string[],
  edit: (className: string, config: JsonObject) => JsonObject,
): JsonObject {
  if (key === undefined) {
    const config = json["config"] ?? null;
    if (!isObject(config)) return json;
    const edited = edit(String(json["class_name"]), config);
    return edited === config ? json : { ...json, config: edited };
  }
  const inner = json[key] ?? null;
  if (!isObject(inner)) return json;
  const edited = editedAt(inner, rest, edit);
  return edited === inner ? json : { ...json, [key]: edited };
}
