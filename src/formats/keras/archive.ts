import {
  asHubClass,
  asHubClasses,
  inHubClasses,
  withHubNetworks,
} from "../../architectures/hub/hub-models.ts";
import { imageNotesOf } from "../../architectures/hub/image-converter.ts";
import { withPreprocessorNoted } from "../../architectures/hub/text-preprocessor.ts";
import type { Checkpoint, Json, JsonObject, Weight } from "../../checkpoint.ts";
import { KerasFileError } from "../../errors.ts";
import type { Hdf5Group } from "../../hdf5/reader.ts";
import { openVirtual } from "../../hdf5/reader.ts";
import type { Hdf5Writer } from "../../hdf5/writer.ts";
import { createHdf5 } from "../../hdf5/writer.ts";
import { isObject } from "../../topology/config-values.ts";
import type { ZipEntry } from "../../zip/reader.ts";
import { createZip } from "../../zip/writer.ts";
import { inDialect } from "../dialect-writing.ts";
import { refuseForeignArchive } from "../foreign-files.ts";
import { splitTokenizerAssets, withTokenizerAssets } from "../hub/tokenizer-assets.ts";
import { layerSlots } from "../layer-slots.ts";
import { modelTree } from "../model-tree.ts";
import { notesKey, readNotes, writeNotes } from "../notes.ts";
import { parsePythonJson, stringifyPythonJson } from "../python-json.ts";
import type { ReadValues } from "../read-values.ts";
import { keptAs, optimizerPath } from "../read-values.ts";
import { readPlaced } from "../stored-weights.ts";
import { withVocabularies } from "../vocabularies.ts";
import { placeVariables, storedPaths, writeVariables } from "./variable-groups.ts";

/**
 * @file Reads and writes `.keras` archives, a zip of config.json, metadata.json and model.weights.h5
 * (`keras/src/saving/saving_lib.py`).
 */

const configName = "config.json";
const metadataName = "metadata.json";
const weightsName = "model.weights.h5";
const compileKey = "compile_config";
/** The folder of a tokenizer's vocabulary, which names the attributes that hold it. */
const tokenizerFolder = "assets/preprocessor/tokenizer/";
/** The largest config in bytes. A larger entry is refused before it is unpacked. */
const configLimit = 100e6;

/**
 * Reads the checkpoint in a `.keras` archive.
 * @param entries The entries of the archive.
 * @param values False to read shapes only.
 * @throws {KerasFileError} naming what is missing or does not fit.
 */
export async function readKerasArchive(
  entries: ReadonlyMap<string, ZipEntry>,
  label: string,
  values: ReadValues,
): Promise<Checkpoint> {
  const config = readJson(entries, configName, label);
  if (!config) {
    refuseForeignArchive(label, [...entries.keys()]);
    throw new KerasFileError(
      `${label}: a zip archive without ${configName}: expected a .keras file, got ${[...entries.keys()].slice(0, 5).join(", ") || "nothing"}.`,
      "structure",
    );
  }
  const metadata = readJson(entries, metadataName, label) ?? {};
  const { [compileKey]: trainingConfig, ...written } = config;
  const version = metadata["keras_version"];
  const kerasVersion = typeof version === "string" ? version : "3";
  const network = withHubNetworks(kerasVersion.startsWith("2") ? withoutNumpyValues(written) : written);
  const plainConfig = withTokenizerAssets(network, (name) =>
    readWhole(entries, tokenizerFolder + name, label),
  );
  const weightsEntry = entries.get(weightsName);
  if (!weightsEntry) throw new KerasFileError(`${label}: has no ${weightsName}.`, "structure");
  const place = `${label}: ${weightsName}`;
  const file = await openVirtual(weightsEntry.open(values !== false), place);
  const read = (): Checkpoint => {
    const groups = storedPaths(
      modelTree(plainConfig),
      layerSlots({ modelConfig: plainConfig, kerasVersion }),
      file.root,
    );
    const modelConfig = withVocabularies(plainConfig, groups, entries, file.root);
    const slots = layerSlots({ modelConfig, kerasVersion });
    const placement = placeVariables(modelTree(modelConfig), slots, file.root);
    const optimizerWeights =
      values === false
        ? undefined
        : readOptimizer(file.root)?.map((weight) => keptAs(values, optimizerPath, weight));
    return {
      format: "keras",
      kerasVersion,
      modelConfig,
      weights: readPlaced(placement, values, label),
      ...(isObject(trainingConfig) && { trainingConfig }),
      ...(optimizerWeights && { optimizerWeights }),
      notes: { ...imageNotesOf(modelConfig), ...readNotes(metadata[notesKey]) },
    };
  };
  try {
    return file.limited(read);
  } finally {
    file.close();
  }
}

function readJson(
  entries: ReadonlyMap<string, ZipEntry>,
  name: string,
  label: string,
): JsonObject | undefined {
  const bytes = readWhole(entries, name, label);
  if (!bytes) return undefined;
  const json = parsePythonJson(new TextDecoder().decode(bytes), `${label}: ${name}`);
  if (isObject(json)) return json;
  throw new KerasFileError(`${label}: ${name}: expected an object.`, "structure");
}

/** Reads a file of an archive, undefined if there is none. @throws {KerasFileError} for one that is larger than any config. */
function readWhole(
  entries: ReadonlyMap<string, ZipEntry>,
  name: string,
  label: string,
): Uint8Array | undefined {
  const entry = entries.get(name);
  if (!entry) return undefined;
  if (entry.size > configLimit) {
    throw new KerasFileError(
      `${label}: ${name}: expected at most ${configLimit.toLocaleString("en-US")} bytes, got ${entry.size.toLocaleString("en-US")}. The file is damaged: copy or download it again.`,
      "size",
    );
  }
  return entry.read();
}

function readOptimizer(root: Hdf5Group): readonly Weight[] | undefined {
  const group = root.group("optimizer")?.group("vars");
  const names = group ? [...group.keys()].sort((a, b) => Number(a) - Number(b)) : [];
  if (!group || names.length === 0) return undefined;
  return names.map((name) => ({ name, ...group.dataset(name)!.read() }));
}

/**
 * Writes a checkpoint of any dialect as a `.keras` archive into an empty file. The caller closes the descriptor.
 * @throws {TopologyError} naming the layer that Keras 3 cannot hold.
 */
export async function writeKerasArchive(
  descriptor: number,
  label: string,
  original: Checkpoint,
): Promise<void> {
  const checkpoint = inDialect(original, "keras3");
  const { modelConfig, trainingConfig, kerasVersion } = checkpoint;
  const zip = createZip(descriptor);
  const { entry: written, files } = splitTokenizerAssets(asHubClasses(modelConfig));
  const config = trainingConfig ? withCompileConfig(written, trainingConfig) : written;
  const notes = writeNotes(
    asHubClass(modelConfig) ? checkpoint.notes : withPreprocessorNoted(checkpoint).notes,
  );
  const metadata = {
    keras_version: kerasVersion,
    date_saved: new Date().toISOString().slice(0, 19).replace("T", "@"),
    ...(notes && { [notesKey]: notes }),
  };
  zip.add(metadataName, Buffer.from(stringifyPythonJson(metadata)));
  zip.add(configName, Buffer.from(stringifyPythonJson(config)));
  await zip.addFile(weightsName, async (file) => {
    const writer = await createHdf5(file, label);
    try {
      writeVariables(modelTree(inHubClasses(modelConfig)), checkpoint, writer);
      writeOptimizer(writer, checkpoint);
    } finally {
      writer.close();
    }
  });
  for (const [name, bytes] of files) zip.add(tokenizerFolder + name, bytes);
  zip.finish();
}

/**
 * Inserts the compile config where Keras puts it: behind `build_config`, before anything that other tools have added.
 */
function withCompileConfig(modelConfig: JsonObject, trainingConfig: JsonObject): JsonObject {
  const entries = Object.entries(modelConfig);
  const behind = entries.findIndex(([key]) => key === "build_config") + 1 || entries.length;
  const ordered = entries.toSpliced(behind, 0, [compileKey, trainingConfig]);
  return Object.assign(Object.fromEntries(ordered), symbolsOf(modelConfig));
}

/** Returns the properties under symbols, which hold the spelling of a config's numbers. */
function symbolsOf(config: JsonObject): object {
  return Object.fromEntries(
    Object.getOwnPropertySymbols(config).map((symbol) => [
      symbol,
      (config as Record<symbol, unknown>)[symbol],
    ]),
  );
}

function writeOptimizer(writer: Hdf5Writer, { optimizerWeights }: Checkpoint): void {
  optimizerWeights?.forEach((weight, index) => {
    writer.dataset(`/optimizer/vars/${index}`, weight);
  });
}

/**
 * Returns a config with plain numbers and lists in place of the NumPy values that Keras 2.12 to 2.15 wrote in a
 * `.keras` archive, `{ class_name: "__numpy__", config: { value: 6.0 } }`. Their other files have none.
 */
export function withoutNumpyValues(config: JsonObject): JsonObject {
  const entries = Object.entries(config).map(([key, value]) => [key, plain(value)] as const);
  const changed = entries.filter(([key, value]) => value !== config[key]);
  return changed.length === 0 ? config : { ...config, ...Object.fromEntries(changed) };
}

function plain(json: Json): Json {
  if (Array.isArray(json)) {
    const items = (json as readonly Json[]).map(plain);
    return items.some((item, index) => item !== json[index]) ? items : json;
  }
  if (!isObject(json)) return json;
  const { class_name, config } = json;
  if (class_name === "__numpy__" && isObject(config)) return config["value"] ?? null;
  return withoutNumpyValues(json);
}
