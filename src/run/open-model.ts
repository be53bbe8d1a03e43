import type { Checkpoint, CheckpointFormat } from "../checkpoint.ts";
import { servingData } from "../data/text-model.ts";
import { KerasFileError, UsageError } from "../errors.ts";
import { readCheckpoint } from "../formats/checkpoint-file.ts";
import { formatNamed } from "../formats/formats.ts";
import { withNamedWeights } from "../formats/named-weights.ts";
import { flatModel } from "../inference/write-checkpoint.ts";
import { optionError, optionName, optionSetTo } from "../options.ts";
import type { ModelWriting } from "./folder.ts";
import { modelFileAt } from "./folder.ts";
import type { RunSettings } from "./settings.ts";

/** Reads the model. A weight that is not a number would make every prediction and every gradient one. */
export async function openModel({ model, data, arch, flat }: RunSettings): Promise<Checkpoint> {
  const given =
    typeof model === "string"
      ? await readCheckpoint(modelFileAt(model), { ...(arch !== null && { arch }) })
      : withNamedWeights(model);
  const checkpoint = servingData(flat ? flatModel(given) : given, data);
  for (const [path, layer] of checkpoint.weights) {
    for (const { name, data } of layer) {
      if (!(data instanceof Float32Array || data instanceof Float64Array)) continue;
      const strange = data.find((value) => !Number.isFinite(value));
      if (strange === undefined) continue;
      throw new KerasFileError(
        `${typeof model === "string" ? model : "model"}: ${path}/${name}: expected numbers, got ${strange}. Nothing can be trained on that; take an earlier file.`,
        "not-finite",
      );
    }
  }
  return checkpoint;
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
