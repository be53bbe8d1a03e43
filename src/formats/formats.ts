import { existsSync, statSync } from "node:fs";
import { basename, extname } from "node:path";
import type { Checkpoint, CheckpointFormat } from "../checkpoint.ts";
import { UsageError } from "../errors.ts";
import { holdsGraph } from "../topology/tfjs-graph/graph-model.ts";
import type { Keras3Release } from "../topology/translate/changes-in-keras3.ts";
import type { Format } from "./format.ts";
import { h5Format } from "./h5/format.ts";
import { hubFormat } from "./hub/format.ts";
import { kerasFormat } from "./keras/format.ts";
import { onnxFormat } from "./onnx/format.ts";
import { tfjsFormat } from "./tfjs/format.ts";
import { weightsFormat } from "./weights/format.ts";

/** Every format, in the order in which they are asked to read a file: the first that knows it does. */
export const formats: readonly Format[] = [
  kerasFormat,
  h5Format,
  weightsFormat,
  tfjsFormat,
  hubFormat,
  onnxFormat,
];

/** The names of all formats, the default first. */
export const formatNames: readonly CheckpointFormat[] = formats.map(({ name }) => name);

/** Returns the format of that name. @throws {UsageError} if there is none. */
export function formatNamed(name: CheckpointFormat): Format {
  const found = formats.find((format) => format.name === name);
  if (found) return found;
  throw new UsageError(
    `${name}: no such format: expected one of ${formatNames.join(", ")}. Choose one of these.`,
    "format",
  );
}

/**
 * Returns the name of the format that `path` is written in: by its ending, or as a folder if it has none.
 * @throws {UsageError} if its ending is that of no format.
 */
export function formatAt(path: string): CheckpointFormat {
  const format =
    formatOfEnding(path) ?? (isFolderName(path) ? formats.find(({ isFolder }) => isFolder) : undefined);
  if (format) return format.name;
  const endings = formats.flatMap((each) => each.endings);
  const folder = formats.find(({ isFolder }) => isFolder)?.name;
  throw new UsageError(
    `${path}: expected a name that ends in ${endings.slice(0, -1).join(", ")} or ${endings.at(-1)}, or a folder's without an ending for ${folder}, got ${JSON.stringify(extname(path.toLowerCase()))}.`,
    "format",
  );
}

/** Returns false for a format of weights alone, which are read with a description of their model. */
export function holdsModel(format: CheckpointFormat): boolean {
  return formatNamed(format).holdsModel;
}

/** Returns false for a format that is written for other runtimes and not read again. */
export function isReadable(format: CheckpointFormat): boolean {
  return formatNamed(format).operations === undefined;
}

/** Returns the name of the format in which a model is written by default: `keras`, or `tfjs` for a tfjs graph model. */
export function defaultFormat({ modelConfig }: Checkpoint): CheckpointFormat {
  const isGraph = holdsGraph(modelConfig);
  return (formats.find(({ holdsGraphs }) => holdsGraphs || !isGraph) ?? kerasFormat).name;
}

/** Returns the last part of `path` without the ending of its format. */
export function nameWithoutEnding(path: string): string {
  const name = basename(path);
  const ending =
    longestEnding(
      name,
      formats.flatMap(({ endings }) => endings),
    ) ?? "";
  return name.slice(0, name.length - ending.length);
}

/**
 * Returns a sentence on the compile settings that a file in that format does not hold, undefined if it holds all.
 * @throws {TopologyError} naming the layer that the format cannot hold.
 */
export function leftBehind(checkpoint: Checkpoint, format: CheckpointFormat): string | undefined {
  if (Object.keys(checkpoint.trainingConfig ?? {}).length === 0) return undefined;
  return formatNamed(format).leftBehind(checkpoint);
}

/**
 * Returns what to tell the user before a checkpoint is written in that format: what the Keras that opens it will compute
 * differently, and what keeps Keras from opening it.
 */
export function writingWarnings(
  checkpoint: Pick<Checkpoint, "modelConfig" | "kerasVersion">,
  format: CheckpointFormat,
  release: Keras3Release = "current",
): readonly string[] {
  return formatNamed(format).warnings(checkpoint, release);
}

function formatOfEnding(path: string): Format | undefined {
  const name = basename(path);
  const ending = longestEnding(
    name,
    formats.flatMap(({ endings }) => endings),
  );
  return ending === undefined ? undefined : formats.find(({ endings }) => endings.includes(ending));
}

/** Returns the longest of `endings` that `name` has behind at least one other character: `.weights.h5` before `.h5`. */
function longestEnding(name: string, endings: readonly string[]): string | undefined {
  return endings
    .filter((ending) => name.length > ending.length && name.toLowerCase().endsWith(ending))
    .sort((a, b) => b.length - a.length)[0];
}

function isFolderName(path: string): boolean {
  if (existsSync(path)) return statSync(path).isDirectory();
  return extname(path) === "" || /[/\\]$/.test(path);
}
