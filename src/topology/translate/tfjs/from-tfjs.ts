import type { Json, JsonObject } from "../../../checkpoint.ts";
import { TopologyError } from "../../../errors.ts";
import { isObject } from "../../config-values.ts";
import { editInnerLayers } from "../../edit-config.ts";
import { picked } from "./step.ts";

/**
 * Translates the config of a model or layer that tfjs-layers wrote to Keras 2. Most configs are the same in both.
 * @throws {TopologyError} naming a layer that computes something different in tfjs-layers than in Keras.
 */
export function fromTfjs(entry: JsonObject): JsonObject {
  const config = entry["config"] ?? null;
  if (Array.isArray(config)) {
    const layers: readonly Json[] = config;
    return { ...entry, config: layers.map((layer) => (isObject(layer) ? fromTfjs(layer) : layer)) };
  }
  if (!isObject(config)) return entry;
  const rule = rules[String(entry["class_name"])];
  const { class_name, config: own } = rule?.(config) ?? { class_name: entry["class_name"] ?? null, config };
  return { ...entry, class_name, config: editInnerLayers(own, fromTfjs) };
}

/** Translates the config of one layer class. */
type Rule = (config: JsonObject) => { readonly class_name: string; readonly config: JsonObject };

const loopKeys =
  "name trainable dtype batch_input_shape return_sequences return_state go_backwards stateful unroll cell";

const rules: Readonly<Record<string, Rule>> = {
  // tfjs-layers writes the cell's arguments among those of the RNN too.
  RNN: (config) => ({ class_name: "RNN", config: picked(config, loopKeys.split(" ")) }),
  // Keras 3 has no ThresholdedReLU; its ReLU has a threshold.
  ThresholdedReLU: ({ theta = null, ...config }) => ({
    class_name: "ReLU",
    config: { ...config, max_value: null, negative_slope: 0, threshold: theta },
  }),
  UpSampling2D: (config) => {
    if (config["interpolation"] === "bilinear") {
      refuse("UpSampling2D", config, "computes bilinear interpolation differently than Keras");
    }
    return { class_name: "UpSampling2D", config };
  },
  DepthwiseConv2D: (config) => {
    const rates = [config["dilation_rate"] ?? 1].flat();
    if (rates.some((rate) => rate !== 1)) {
      refuse("DepthwiseConv2D", config, "ignores dilation_rate, unlike Keras");
    }
    return { class_name: "DepthwiseConv2D", config };
  },
};

function refuse(className: string, { name = null }: JsonObject, reason: string): never {
  throw new TopologyError(
    `${String(name)}: ${className}: tfjs-layers ${reason}. Remove the layer, or convert the original Keras model.`,
    "not-in-keras",
  );
}
