import type { Json, JsonObject } from "../../../checkpoint.ts";
import { TopologyError } from "../../../errors.ts";
import { isObject } from "../../config-values.ts";

/**
 * Refuses a config that tfjs-layers wrote where what it says computes something else there than in Keras.
 * @throws {TopologyError} naming the layer.
 */
export function refuseOtherThanKeras(entry: JsonObject): void {
  const { class_name: className, config } = entry;
  const fields: JsonObject = isObject(config) ? config : {};
  const refuse = (what: string): never => {
    throw new TopologyError(
      `${String(fields["name"])}: ${String(className)}: ${what} of tfjs-layers is no Keras's. Take it out, or convert the Keras model that it was made from.`,
      "not-in-keras",
    );
  };
  if (className === "UpSampling2D" && fields["interpolation"] === "bilinear")
    refuse("bilinear interpolation");
  if (className === "DepthwiseConv2D" && !isOne(fields["dilation_rate"])) {
    refuse("a dilation_rate, which is not read there,");
  }
  const layers: Json = Array.isArray(config) ? config : (fields["layers"] ?? []);
  const inner = [...(Array.isArray(layers) ? (layers as readonly Json[]) : []), fields["layer"] ?? null];
  for (const layer of inner) if (isObject(layer)) refuseOtherThanKeras(layer);
}

function isOne(sizes: Json | undefined): boolean {
  return sizes == null || [sizes].flat().every((size) => size === 1);
}
