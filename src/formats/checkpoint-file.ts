import { closeSync, existsSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import { extname, join } from "node:path";
import type { Architecture } from "../architectures/architecture.ts";
import { architectureOf } from "../architectures/known.ts";
import type { Checkpoint, CheckpointFormat } from "../checkpoint.ts";
import { KerasFileError, TopologyError, UsageError } from "../errors.ts";
import { windowFile } from "../hdf5/file-system.ts";
import { openVirtual } from "../hdf5/reader.ts";
import { systemError } from "../hdf5/system-error.ts";
import { holdsGraph } from "../topology/tfjs-graph/graph-model.ts";
import { replaceFile } from "./atomic-file.ts";
import { refuseForeignFile, refuseForeignFolder, refuseForeignPrefix } from "./foreign-files.ts";
import { readKerasH5 } from "./h5/reader.ts";
import { writeKerasH5 } from "./h5/writer.ts";
import { readJsonFile } from "./json-file.ts";
import { readKerasArchive, writeKerasArchive } from "./keras/archive.ts";
import { readTfjsModel } from "./tfjs/folder.ts";
import { modelJsonName, writeTfjsFolder } from "./tfjs/folder-writer.ts";
import { type DescribedModel, describedModel } from "./weights/described-model.ts";
import { writeWeightsH5 } from "./weights/h5-writer.ts";
import { isShardMap, readShardedWeights } from "./weights/sharded.ts";
import { shardMapEnding, writeShardedWeights } from "./weights/sharded-writer.ts";
import { readWeightsOnly, requireArchitecture } from "./weights/weights-only.ts";

export interface ReadOptions {
  /**
   * The network of a file that holds weights only: `resnet50`, or a file that describes it, what `model.to_json()` gives or
   * another whole model. A whole model says its own.
   */
  readonly arch?: string;
  /** False reads names, shapes and dtypes of the weights and leaves their data empty. */
  readonly weights?: boolean;
}

export interface WriteOptions {
  /** What the weights of one shard take at most, for `.weights.json` only (5 GB). */
  readonly maxShardBytes?: number;
}

/**
 * The model in a `.keras` or `.h5` file of any Keras, told by its bytes, whatever its name, or of tfjs: its folder or model.json.
 * Weights alone, in shards too, need an architecture.
 * @throws {KerasFileError} naming the file and what is wrong: missing, truncated, no Keras file, weights that do not fit.
 * @throws {UsageError} for an architecture that is not known.
 */
export async function readCheckpoint(path: string, options: ReadOptions = {}): Promise<Checkpoint> {
  const network = options.arch === undefined ? undefined : await networkNamed(options.arch);
  let descriptor: number;
  try {
    descriptor = openSync(path, "r");
  } catch (error) {
    refuseForeignPrefix(path);
    throw systemError(path, error);
  }
  try {
    const status = fstatSync(descriptor);
    if (status.isDirectory()) return readFolder(path, options);
    return await readOpened(descriptor, status.size, path, { network, values: options.weights !== false });
  } finally {
    closeSync(descriptor);
  }
}

/** A network by its name, or as a file describes it. @throws {UsageError | KerasFileError} for one that is not known. */
async function networkNamed(arch: string): Promise<Architecture | DescribedModel> {
  if (architectureOf(arch) || !existsSync(arch)) return requireArchitecture(arch);
  if (statSync(arch).isFile() && fileStartsAsJson(arch)) {
    const described = describedModel(readJsonFile(arch));
    if (described) return described;
  }
  const { modelConfig, kerasVersion } = await readCheckpoint(arch, { weights: false });
  return { modelConfig, kerasVersion };
}

function fileStartsAsJson(path: string): boolean {
  const descriptor = openSync(path, "r");
  try {
    return startsAsJson(headOf(descriptor));
  } finally {
    closeSync(descriptor);
  }
}

/** What a file starts with; zeros behind the end of a short one. */
function headOf(descriptor: number): Buffer {
  const head = Buffer.alloc(64);
  readSync(descriptor, head, 0, head.length, 0);
  return head;
}

function startsAsJson(head: Buffer): boolean {
  return /^\s*\{/.test(head.toString("latin1"));
}

function readFolder(path: string, { weights = true }: ReadOptions): Checkpoint {
  const model = join(path, modelJsonName);
  if (existsSync(model)) return readTfjsModel(readJsonFile(model), model, weights);
  refuseForeignFolder(path);
  throw new KerasFileError(
    `${path}: is a directory: expected a file, or a folder of tfjs with a ${modelJsonName}.`,
    "eisdir",
  );
}

async function readOpened(
  descriptor: number,
  length: number,
  label: string,
  { network, values }: { network: Architecture | DescribedModel | undefined; values: boolean },
): Promise<Checkpoint> {
  if (length === 0) throw new KerasFileError(`${label}: the file is empty (0 bytes).`, "empty");
  const head = headOf(descriptor);
  if (head.toString("latin1", 0, 2) === "PK") return readKerasArchive(descriptor, length, label, values);
  if (startsAsJson(head)) {
    const json = readJsonFile(label);
    if (isShardMap(json)) return readShardedWeights(json, label, network, values);
    return readTfjsModel(json, label, values);
  }
  refuseForeignFile(label, head);
  const file = await openVirtual(windowFile(descriptor, 0, length), label);
  try {
    return file.root.text("model_config") === undefined
      ? readWeightsOnly(file, label, network, values)
      : readKerasH5(file, label, values);
  } finally {
    file.close();
  }
}

/**
 * Writes the model where `path`'s ending says how: `.keras` in Keras 3's dialect, `.h5` or `.hdf5` in the one it came in, a
 * folder (no ending, or a slash) for tfjs-layers; the weights alone as `.weights.h5`, or `.weights.json` with shards beside it. The file or folder is whole or, on failure, as it was before.
 * @throws {UsageError} for an ending that names no format.
 * @throws {TopologyError} naming the layer that the format cannot hold.
 */
export async function writeCheckpoint(
  path: string,
  checkpoint: Checkpoint,
  { maxShardBytes }: WriteOptions = {},
): Promise<void> {
  const isSharded = path.toLowerCase().endsWith(shardMapEnding);
  if (maxShardBytes !== undefined && !isSharded) {
    throw new UsageError(
      `${path}: expected a name that ends in ${shardMapEnding} with a size of shards. Leave it out for other formats.`,
      "format",
    );
  }
  const format = formatAt(path);
  if (holdsGraph(checkpoint.modelConfig) && format !== "tfjs") {
    throw new TopologyError(
      `${path}: a graph model of tfjs has no layers that a file of Keras could hold. Write a folder of tfjs (--format tfjs), or convert the Keras file that it was made from.`,
      "graph-model",
    );
  }
  if (isSharded) return writeShardedWeights(path, checkpoint, maxShardBytes);
  switch (format) {
    case "weights.h5":
      return replaceFile(path, (descriptor) =>
        writeWeightsH5(windowFile(descriptor, 0, 0), path, checkpoint),
      );
    case "keras":
      return replaceFile(path, (descriptor) => writeKerasArchive(descriptor, path, checkpoint));
    case "h5":
      return replaceFile(path, (descriptor) => writeKerasH5(windowFile(descriptor, 0, 0), path, checkpoint));
    case "tfjs":
      return writeTfjsFolder(path, checkpoint);
  }
}

/** The format that `path` is written in, shards as the file that they are parts of. @throws {UsageError} for an ending that names none. */
export function formatAt(path: string): CheckpointFormat {
  const name = path.toLowerCase();
  if (name.endsWith(".weights.h5") || name.endsWith(shardMapEnding)) return "weights.h5";
  const ending = extname(name);
  if (ending === ".keras") return "keras";
  if (ending === ".h5" || ending === ".hdf5") return "h5";
  if (isFolderName(path)) return "tfjs";
  throw new UsageError(
    `${path}: expected a name that ends in .keras, .h5, .weights.h5 or .weights.json, or a folder's without an ending for tfjs, got ${JSON.stringify(ending)}.`,
    "format",
  );
}

/** What a model is written as where nothing else is asked for: a graph model of tfjs is none of Keras's. */
export function defaultFormat({ modelConfig }: Checkpoint): CheckpointFormat {
  return holdsGraph(modelConfig) ? "tfjs" : "keras";
}

function isFolderName(path: string): boolean {
  if (existsSync(path)) return statSync(path).isDirectory();
  return extname(path) === "" || /[/\\]$/.test(path);
}
