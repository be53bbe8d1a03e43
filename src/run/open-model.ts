import type { Checkpoint, CheckpointFormat, Weight } from "../checkpoint.ts";
import type { TensorFile } from "../data/tensor-file.ts";
import { openTensorFile } from "../data/tensor-file.ts";
import { servingData } from "../data/text-model.ts";
import { KerasFileError, UsageError } from "../errors.ts";
import { localFolderOf } from "../features/cache/cache-directory.ts";
import { readWithWeights } from "../formats/checkpoint-file.ts";
import { formatNamed } from "../formats/formats.ts";
import { withNamedWeights } from "../formats/named-weights.ts";
import type { KeepWeight } from "../formats/read-values.ts";
import { optimizerPath } from "../formats/read-values.ts";
import { flatModel } from "../inference/write-checkpoint.ts";
import { optionError, optionName, optionSetTo } from "../options.ts";
import type { ModelWriting } from "./folder.ts";
import { modelFileAt } from "./folder.ts";
import type { RunSettings } from "./settings.ts";

/** Bytes from which on a weight is kept in a file. */
const keptBytes = 2 ** 16;

/**
 * Reads the model. Its large weights go to a file without a name beside the cached features, and are read from there when they are asked
 * for: the engine has its own copies of those that run.
 * @throws {KerasFileError} for a weight that is not a number, which would make every prediction and every gradient one.
 */
export async function openModel({ model, data, arch, flat, cache }: RunSettings): Promise<Checkpoint> {
  const given =
    typeof model === "string"
      ? await readWithWeights(
          modelFileAt(model),
          { ...(arch !== null && { arch }) },
          keeping(model, localFolderOf(cache)),
        )
      : withNamedWeights(model);
  if (typeof model !== "string") {
    for (const [path, layer] of given.weights)
      for (const weight of layer) requireFinite("model", path, weight);
  }
  return servingData(flat ? flatModel(given) : given, data);
}

/** Returns what keeps each weight that is read, in memory where it is small or the disk refuses. */
function keeping(model: string, folder: string): KeepWeight {
  let file: TensorFile | undefined;
  return (path, weight) => {
    if (path !== optimizerPath) requireFinite(model, path, weight);
    if (weight.data.byteLength < keptBytes) return weight;
    file ??= openTensorFile(folder, "model");
    try {
      return file?.add(weight) ?? weight;
    } catch {
      return weight;
    }
  };
}

function requireFinite(model: string, path: string, { name, data }: Weight): void {
  if (!(data instanceof Float32Array || data instanceof Float64Array)) return;
  const strange = firstNonFinite(data);
  if (strange === undefined) return;
  throw new KerasFileError(
    `${model}: ${path}/${name}: expected numbers, got ${strange}. Nothing can be trained on that; take an earlier file.`,
    "not-finite",
  );
}

/** Returns the first value that is not finite. A loop takes a fifth of the time of `find`, which calls a function for each value. */
function firstNonFinite(data: Float32Array | Float64Array): number | undefined {
  for (let index = 0; index < data.length; index++) {
    const value = data[index] as number;
    if (!Number.isFinite(value)) return value;
  }
  return undefined;
}

/** Returns the options of writing the run's model. @throws {UsageError} for one that its format does not have. */
export function writingOptions(
  format: CheckpointFormat,
  { layout, float16, embedPreprocess }: Pick<RunSettings, "layout" | "float16" | "embedPreprocess">,
): ModelWriting {
  const asked = {
    ...(layout !== null && { layout }),
    ...(float16 && { float16 }),
    ...(embedPreprocess && { embedPreprocess }),
  };
  const [first] = Object.keys(asked);
  if (first === undefined || formatNamed(format).operations) return { format, ...asked };
  throw optionError(first, `${optionSetTo("outputFormat", "onnx")}`, format, {
    code: "format",
    advice: `Remove ${optionName(first)}.`,
  });
}

/** Returns the model as the Keras that will open it computes it, where an early one is asked for. */
export function forRelease(
  checkpoint: Checkpoint,
  format: CheckpointFormat,
  { outputKeras }: RunSettings,
): Checkpoint {
  if (outputKeras === null) return checkpoint;
  const { forEarlyKeras3 } = formatNamed(format);
  if (forEarlyKeras3) return forEarlyKeras3(checkpoint);
  throw new UsageError(
    `${optionSetTo("outputKeras", outputKeras)}: expected the format keras, got ${format}. Remove ${optionName("outputKeras")} or ${optionName("outputFormat")}.`,
    "format",
    "outputKeras",
  );
}
