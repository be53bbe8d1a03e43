import type { Checkpoint, JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import { optionSetTo } from "../../options.ts";
import { type Dialect, dialectOf } from "../dialects/dialect.ts";
import { inKerasOrder } from "./keras-order.ts";
import { keras2ToKeras3, type Translation } from "./keras2-model.ts";
import { withModules, withoutModules } from "./keras3-modules.ts";
import { inSharedWords, withoutArchiveWords } from "./shared-words.ts";

/**
 * The model's config in another dialect, its layers in the order of Keras's `model.layers`; weights are untouched but for the
 * layers' new paths. Within one dialect nothing but that order changes, and in Keras 2's words that Keras 3 reads too.
 * @throws {TopologyError} naming the layer that cannot be translated and the format that would hold it.
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
    const inH5 = from === "keras2-archive" ? withoutArchiveWords(ordered) : ordered;
    return { modelConfig: inSharedWords(inH5, kerasVersion), renamed: new Map() };
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
    `model config: ${formats[from]} is not translated to ${formats[to]}. Write .h5 (${optionSetTo("outputFormat", "h5")}), which keeps it as it is.`,
    "untranslatable",
  );
}
