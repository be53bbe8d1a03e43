import { existsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { Architecture } from "../architectures/architecture.ts";
import { architectureOf } from "../architectures/known.ts";
import type { Checkpoint, JsonObject } from "../checkpoint.ts";
import { KerasFileError, TopologyError, UsageError } from "../errors.ts";
import { optionError, optionSetTo } from "../options.ts";
import { holdsGraph } from "../topology/tfjs-graph/graph-model.ts";
import { dialectVersion } from "./dialect-writing.ts";
import { refuseForeignFolder } from "./foreign-files.ts";
import type { DescribedModel } from "./format.ts";
import { formatAt, formatNamed, formats } from "./formats.ts";
import { withLabelsBeside } from "./labels-beside.ts";
import { withNamedWeights } from "./named-weights.ts";
import type { ReadValues } from "./read-values.ts";
import { isRemoteAddress, remoteTargetError } from "./remote-address.ts";
import { withSource } from "./source.ts";
import { shardMapEnding } from "./weights/sharded-writer.ts";
import { requireArchitecture } from "./weights/weights-only.ts";
import type { WriteOptions } from "./write-options.ts";

export interface ReadOptions {
  /**
   * The network of a file that holds weights only: `resnet50`, or a file that describes it, which is either the text of
   * `model.to_json()` or another whole model. Ignored for a whole model.
   */
  readonly arch?: string;
  /** False reads names, shapes and dtypes of the weights and leaves their data empty. */
  readonly weights?: boolean;
}

/**
 * Reads a model of any Keras from a `.keras` or `.h5` file, recognized by its bytes whatever its name, or a tfjs model from its
 * folder or model.json. Weights without a model, in shards too, need an architecture. Class names come from the file, else
 * from a `labels.txt` or `metadata.json` beside it, as Teachable Machine writes them.
 * @throws {KerasFileError} naming the file and what is wrong: missing, truncated, no Keras file, weights that do not fit.
 * @throws {UsageError} for an unknown architecture.
 *
 * @example
 * const checkpoint = await readCheckpoint("resnet50.h5");
 * const named = await readCheckpoint("resnet50.weights.h5", { arch: "resnet50" });
 */
export async function readCheckpoint(path: string, options: ReadOptions = {}): Promise<Checkpoint> {
  return readWithWeights(path, options, options.weights !== false);
}

/** Reads a model as `readCheckpoint` does. `values` says what becomes of each weight as it is read. */
export async function readWithWeights(
  path: string,
  options: Pick<ReadOptions, "arch">,
  values: ReadValues,
): Promise<Checkpoint> {
  const network = options.arch === undefined ? undefined : await networkNamed(options.arch);
  // Every format is asked before anything is awaited: what is read of an HDF5 file later has no limit of time.
  const checkpoint = await withSource(path, (source) => {
    for (const format of formats) {
      const read = format.read(source, { network, values });
      if (read) return read;
    }
    if (source.kind === "folder") refuseForeignFolder(path);
    throw new KerasFileError(
      source.kind === "folder"
        ? `${path}: is a directory: expected a file, or a tfjs folder with a model.json.`
        : `${path}: expected a file of Keras or tfjs, got another ${source.kind} file.`,
      source.kind === "folder" ? "eisdir" : "not-keras",
    );
  });
  return withLabelsBeside(checkpoint, statSync(path).isDirectory() ? path : dirname(path));
}

/** Finds a network by its name, or as a file describes it. @throws {UsageError | KerasFileError} if there is none. */
async function networkNamed(arch: string): Promise<Architecture | DescribedModel> {
  if (architectureOf(arch) || !existsSync(arch)) return requireArchitecture(arch);
  const described = statSync(arch).isFile()
    ? await withSource(arch, (source) => (source.kind === "json" ? describedModel(source.json) : undefined))
    : undefined;
  if (described) return described;
  const { modelConfig, kerasVersion } = await readCheckpoint(arch, { weights: false });
  return { modelConfig, kerasVersion };
}

/**
 * Returns the model in the output of `model.to_json()` of any Keras, undefined for other JSON. Keras 3 writes no version, but
 * the module of each object (`keras/src/models/model.py`, `keras/src/saving/serialization_lib.py`).
 */
function describedModel(json: JsonObject): DescribedModel | undefined {
  const { keras_version: version, backend: _backend, compile_config: _compiled, ...modelConfig } = json;
  if (typeof json["class_name"] !== "string" || json["config"] === undefined) return undefined;
  const release = typeof version === "string" ? version : json["module"] === undefined ? "1" : dialectVersion;
  return { modelConfig, kerasVersion: release };
}

/**
 * Writes a model in the format of `path`'s ending: `.keras` in Keras 3's dialect, `.h5` or `.hdf5` in the dialect it came in, a
 * folder (no ending, or a slash) for tfjs-layers; the weights alone as `.weights.h5`, or as `.weights.json` with shards beside
 * it. On failure, the file or folder stays as it was before.
 * @throws {UsageError} for an ending of no format, or an address in place of a path.
 * @throws {TopologyError} naming the layer that the format cannot hold.
 */
export async function writeCheckpoint(
  path: string,
  checkpoint: Checkpoint,
  { maxShardBytes, format: asked, ...options }: WriteOptions = {},
): Promise<void> {
  if (isRemoteAddress(path)) throw remoteTargetError(path);
  if (maxShardBytes !== undefined && !path.toLowerCase().endsWith(shardMapEnding)) {
    throw new UsageError(
      `${path}: expected a name that ends in ${shardMapEnding} with a shard size. Omit the size for other formats.`,
      "format",
    );
  }
  const format = formatNamed(asked ?? formatAt(path));
  if (holdsGraph(checkpoint.modelConfig) && !format.holdsGraphs) {
    throw new TopologyError(
      `${path}: a tfjs graph model has no layers that a Keras file could hold. Write a tfjs folder (${optionSetTo("outputFormat", "tfjs")}), or convert the Keras file that it was made from.`,
      "graph-model",
    );
  }
  for (const name of ["layout", "float16", "pixels"] as const) {
    if (options[name] === undefined || format.operations) continue;
    throw optionError(name, "the format onnx", format.name);
  }
  return format.write(path, withNamedWeights(checkpoint), { maxShardBytes, ...options });
}
