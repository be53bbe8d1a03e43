import type { Checkpoint, JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import { optionSetTo } from "../../options.ts";
import { type Dialect, dialectOf } from "../dialects/dialect.ts";
import { inKerasOrder } from "./keras-order.ts";
import { archiveToH5, readableInKeras3 } from "./keras2-h5.ts";
import { keras2ToKeras3, type Translation } from "./keras2-model.ts";
import { withModules, withoutModules } from "./keras3-modules.ts";

/**
 * Translates a model's config to another dialect, with layers in the order of Keras's `model.layers`. Weights stay the
 * same, but layers may get new paths. Within one dialect only that order changes; a Keras 2 config also becomes
 * readable in Keras 3.
 * @throws {TopologyError} naming the layer that cannot be translated and a format that can hold it.
 */
export function translateConfig(
  checkpoint: Pick<Checkpoint, "modelConfig" | "kerasVersion">,
  to: Dialect,
): Translation {
  const { kerasVersion } = checkpoint;
  const from = dialectOf(checkpoint);
  if ((from === "keras1" || from === "keras2" || from === "keras2-archive") && to === "keras3")
    return keras2ToKeras3(checkpoint.modelConfig, kerasVersion);
  const ordered = inKerasOrder(checkpoint);
  if (to === "keras2" && (from === "keras1" || from === "keras2" || from === "keras2-archive")) {
    const inH5 = from === "keras2-archive" ? archiveToH5(ordered) : ordered;
    return { modelConfig: readableInKeras3(inH5, kerasVersion), renamed: new Map() };
  }
  return { modelConfig: convert(ordered, from, to), renamed: new Map() };
}

function convert(modelConfig: JsonObject, from: Dialect, to: Dialect): JsonObject {
  if (from === to) return modelConfig;
  if (from === "keras3-h5" && to === "keras3") return withModules(modelConfig);
  if (from === "keras3" && to === "keras3-h5") return withoutModules(modelConfig);
  const formats = {
    keras1: "Keras 1's .h5",
    keras2: "Keras 2's .h5",
    "keras2-archive": "Keras 2's .keras",
    "keras3-h5": "Keras 3's .h5",
    keras3: ".keras",
  };
  throw new TopologyError(
    `model config: ${formats[from]} cannot be translated to ${formats[to]}. Write .h5 (${optionSetTo("outputFormat", "h5")}), which keeps the model unchanged.`,
    "untranslatable",
  );
}
