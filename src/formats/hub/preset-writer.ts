import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { asHubClass, backboneNetwork, withHubNetworks } from "../../architectures/hub/hub-models.ts";
import type { Checkpoint, Json, JsonObject } from "../../checkpoint.ts";
import { TopologyError, UsageError } from "../../errors.ts";
import { windowFile } from "../../hdf5/file-system.ts";
import { createHdf5 } from "../../hdf5/writer.ts";
import { elementCount } from "../../tensor.ts";
import { isObject } from "../../topology/config-values.ts";
import { replaceFile, replaceFolder } from "../atomic-file.ts";
import { writeVariables } from "../keras/variable-groups.ts";
import { makeFolder } from "../make-folder.ts";
import { modelTree, type TreeNode } from "../model-tree.ts";
import { notesKey, writeNotes } from "../notes.ts";
import { stringifyPythonJson } from "../python-json.ts";
import {
  backboneIn,
  backboneName,
  configName,
  metadataName,
  shardMapName,
  taskName,
  taskWeightsName,
  tokenizerFolder,
  weightsName,
} from "./preset-reader.ts";
import { splitTokenizerAssets } from "./tokenizer-assets.ts";

/** The release of KerasHub in whose form presets are written. */
const hubVersion = "0.32.0";

/**
 * Writes a preset folder that `from_preset` of KerasHub opens: the backbone, the task around it, their weights and preprocessing.
 * @throws {TopologyError} for a model that is not, or no longer, what a class of KerasHub builds.
 * @throws {UsageError} if the folder holds anything but a preset.
 */
export async function writePreset(path: string, checkpoint: Checkpoint): Promise<void> {
  const entry = asHubClass(checkpoint.modelConfig);
  if (!entry) {
    throw new TopologyError(
      `${path}: expected a model of a class of KerasHub, got another. Write .keras, which holds any.`,
      "not-of-hub",
    );
  }
  refuseOthers(path);
  const { entry: plain, files } = splitTokenizerAssets(entry);
  const given = plain["config"] as JsonObject;
  const isTask = isObject(given["backbone"] ?? null);
  const whole = { ...checkpoint, modelConfig: withHubNetworks(entry) };
  const backbone = isTask ? backboneOf(whole) : whole;
  const backboneEntry = isTask ? (given["backbone"] as JsonObject) : entry;
  const preprocessor = isObject(given["preprocessor"] ?? null)
    ? (given["preprocessor"] as JsonObject)
    : undefined;
  const parts = preprocessor && (preprocessor["config"] as JsonObject);
  const [converter, tokenizer] = [parts?.["image_converter"], parts?.["tokenizer"]];
  const notes = writeNotes(checkpoint.notes);
  const metadata: JsonObject = {
    keras_version: checkpoint.kerasVersion,
    keras_hub_version: hubVersion,
    parameter_count: parameterCount(backbone),
    date_saved: new Date().toISOString().slice(0, 19).replace("T", "@"),
    tasks: isTask ? [taskKind(String(entry["class_name"]))] : [],
    ...(notes && { [notesKey]: notes }),
  };
  const texts: Readonly<Record<string, Json | undefined>> = {
    [metadataName]: metadata,
    [configName]: stored(backboneEntry),
    [taskName]: isTask ? stored(plain) : undefined,
    "preprocessor.json": preprocessor && stored(preprocessor),
    "image_converter.json": isObject(converter ?? null) ? stored(converter as JsonObject) : undefined,
    "tokenizer.json": isObject(tokenizer ?? null) ? stored(tokenizer as JsonObject) : undefined,
  };
  await replaceFolder(path, async (folder) => {
    makeFolder(folder);
    for (const [name, json] of Object.entries(texts)) {
      if (json === undefined) continue;
      await replaceFile(join(folder, name), async (file) => writeFileSync(file, stringifyPythonJson(json)));
    }
    if (files.size > 0) makeFolder(join(folder, tokenizerFolder));
    for (const [name, bytes] of files) {
      const path = join(folder, tokenizerFolder, name);
      await replaceFile(path, async (file) => writeFileSync(file, bytes));
    }
    await writeWeights(join(folder, weightsName), modelTree(backbone.modelConfig), backbone);
    if (isTask) await writeWeights(join(folder, taskWeightsName), backboneIn(whole.modelConfig).rest, whole);
  });
}

/** Returns the backbone of a task as a model of its own. */
function backboneOf(task: Checkpoint): Checkpoint {
  const { entry } = backboneIn(task.modelConfig);
  const prefix = `${backboneName(entry)}/`;
  const weights = [...task.weights].flatMap(([path, layer]) =>
    path.startsWith(prefix) ? [[path.slice(prefix.length), layer] as const] : [],
  );
  return { ...task, modelConfig: backboneNetwork(entry), weights: new Map(weights) };
}

function writeWeights(path: string, tree: TreeNode, checkpoint: Checkpoint): Promise<void> {
  return replaceFile(path, async (descriptor) => {
    const writer = await createHdf5(windowFile(descriptor, 0, 0), path);
    try {
      writeVariables(tree, checkpoint, writer);
    } finally {
      writer.close();
    }
  });
}

/** Returns an entry as presets hold it, without build and compile configs at any depth. */
function stored(json: JsonObject): JsonObject {
  const entries = Object.entries(json).filter(([key]) => key !== "compile_config" && key !== "build_config");
  const inner = entries.map(([key, value]) => [key, isObject(value) ? stored(value) : value] as const);
  return { ...numberSpellings(json), ...Object.fromEntries(inner) };
}

/** Returns the properties under symbols, which hold the spelling of an object's numbers. */
function numberSpellings(json: JsonObject): JsonObject {
  const symbols = Object.getOwnPropertySymbols(json);
  const properties = Object.getOwnPropertyDescriptors(json) as unknown as Record<symbol, { value: unknown }>;
  return Object.fromEntries(symbols.map((symbol) => [symbol, properties[symbol]?.value])) as JsonObject;
}

function parameterCount({ weights }: Checkpoint): number {
  return [...weights.values()].flat().reduce((sum, { shape }) => sum + elementCount(shape), 0);
}

/** Returns what kind of task a class is: `ImageClassifier` of `ResNetImageClassifier`. */
function taskKind(className: string): string {
  return /(?:Image|Text)\w+$/.exec(className)?.[0] ?? className;
}

const presetFiles: readonly string[] = [
  ...[metadataName, configName, taskName, weightsName, taskWeightsName],
  ...["preprocessor.json", "image_converter.json", "tokenizer.json", "assets"],
];

function refuseOthers(path: string): void {
  const names = existsSync(path) ? readdirSync(path) : [];
  const isShard = (name: string): boolean => name === shardMapName || /^model_\d{5}\.weights\.h5$/.test(name);
  const other = names.find((name) => !presetFiles.includes(name) && !isShard(name));
  if (other === undefined) return;
  throw new UsageError(
    `${path}: output: expected a new folder or one that holds a preset alone, got one with ${other}. Choose another.`,
    "out-exists",
  );
}
