import type { Json, JsonObject } from "../../../checkpoint.ts";
import { TopologyError } from "../../../errors.ts";
import { isObject } from "../../config-values.ts";
import { editInnerLayers } from "../../edit-config.ts";
import { picked } from "./step.ts";

/**
 * A model or layer that tfjs-layers wrote, in Keras 2's words. Most of it is that already.
 * @throws {TopologyError} naming a layer that computes something else in tfjs-layers than in Keras.
 */
export function fromTfjs(entry: JsonObject): JsonObject {
  const config = entry["config"] ?? null;
  if (Array.isArray(config)) {
    const layers: readonly Json[] = config;
    return { ...entry, config: layers.map((layer) => (isObject(layer) ? fromTfjs(layer) : layer)) };
  }
  if (!isObject(config)) return entry;
  const rule = rules[String(entry["class_name"])];
  const { class_name, config: own } = rule?.(config) ?? { class_name: entry["class_name"]!, config };
  return { ...entry, class_name, config: editInnerLayers(own, fromTfjs) };
}

type Rule = (config: JsonObject) => { readonly class_name: string; readonly config: JsonObject };

const loopKeys =
  "name trainable dtype batch_input_shape return_sequences return_state go_backwards stateful unroll cell";

const rules: Readonly<Record<string, Rule>> = {
  // It lists the cell's arguments among its own.
  RNN: (config) => ({ class_name: "RNN", config: picked(config, loopKeys.split(" ")) }),
  // The one layer that Keras 3 has no more.
  ThresholdedReLU: ({ theta = null, ...config }) => ({
    class_name: "ReLU",
    config: { ...config, max_value: null, negative_slope: 0, threshold: theta },
  }),
  UpSampling2D: (config) => {
    if (config["interpolation"] === "bilinear") refuse("UpSampling2D", config, "bilinear interpolation");
    return { class_name: "UpSampling2D", config };
  },
  DepthwiseConv2D: (config) => {
    const rates = [config["dilation_rate"] ?? 1].flat();
    if (rates.some((rate) => rate !== 1)) {
      refuse("DepthwiseConv2D", config, "a dilation_rate, which is not read there,");
    }
    return { class_name: "DepthwiseConv2D", config };
  },
};

function refuse(className: string, { name = null }: JsonObject, what: string): never {
  throw new TopologyError(
    `${String(name)}: ${className}: ${what} of tfjs-layers is no Keras's. Take it out, or convert the Keras model that it was made from.`,
    "not-in-keras",
  );
}
