import type { JsonObject } from "../../checkpoint.ts";
import type { LayerSpec } from "../layer-spec.ts";

/** Creates the spec of a layer that is the identity except in training (`keras/src/layers/regularization/`). */
function noise(className: string, defaults: JsonObject, more: Partial<LayerSpec> = {}): LayerSpec {
  return {
    className,
    defaults,
    outputShapes: ({ inputs }) => [inputs[0]],
    random: true,
    elementwise: true,
    masking: true,
    ...more,
  };
}

/** Penalty that an activity regularizer adds to the loss for each sample. No file contains this layer. */
const activityPenalty: LayerSpec = {
  className: "training>ActivityPenalty",
  defaults: { l1: 0, l2: 0 },
  outputShapes: ({ inputs }) => [[inputs[0][0] ?? null, 1]],
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
