import type { JsonObject } from "../../checkpoint.ts";
import type { LayerSpec } from "../layer-spec.ts";

/** `keras/src/layers/regularization/`: identity but in training. */
function noise(className: string, defaults: JsonObject, more: Partial<LayerSpec> = {}): LayerSpec {
  return {
    className,
    defaults,
    outputShapes: ({ inputs }) => [inputs[0]!],
    random: true,
    elementwise: true,
    masking: true,
    ...more,
  };
}

/** What a layer's activities add to the loss, sample by sample; no file holds one. */
const activityPenalty: LayerSpec = {
  className: "training>ActivityPenalty",
  defaults: { l1: 0, l2: 0 },
  outputShapes: ({ inputs }) => [[inputs[0]![0]!, 1]],
};

export const regularizationSpecs: readonly LayerSpec[] = [
  noise("Dropout", { noise_shape: null, seed: null }),
  noise("SpatialDropout1D", { seed: null }),
  noise("SpatialDropout2D", { seed: null, data_format: "channels_last" }),
  noise("SpatialDropout3D", { seed: null, data_format: "channels_last" }),
  noise("AlphaDropout", { noise_shape: null, seed: null }),
  noise("GaussianDropout", { seed: null }),
  noise("GaussianNoise", { seed: null }),
  noise("ActivityRegularization", { l1: 0, l2: 0 }, { random: false }),
  activityPenalty,
];
