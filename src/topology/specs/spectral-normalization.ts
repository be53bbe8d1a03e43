import type { LayerSpec } from "../layer-spec.ts";
import { nestedLayer, within } from "./recurrent-cells.ts";
import { refusalInside, type SpecOf, wrappedLayer } from "./wrappers.ts";

/**
 * Creates the spec of SpectralNormalization, which keeps the spectral norm of a layer's kernel at 1 in training
 * (`keras/src/layers/normalization/spectral_normalization.py`).
 */
export function spectralNormalizationSpec(specOf: SpecOf): LayerSpec {
  const { inside, outputShapes, multiplyAdds } = wrappedLayer(specOf);
  return {
    className: "SpectralNormalization",
    defaults: { power_iterations: 1 },
    weights: (outer) => {
      const { spec, call } = inside(outer);
      const [kernel, ...others] = within("layer", call.config, spec.weights?.(call) ?? []);
      const vector = {
        name: "vector_u",
        shape: [1, kernel?.shape.at(-1) ?? 0],
        trainable: false,
        initializer: { class_name: "TruncatedNormal", config: { mean: 0, stddev: 0.02, seed: null } },
        regularizer: null,
      };
      if (!kernel) return [];
      return outer.keras === 3
        ? [{ ...kernel, alsoNamed: "kernel" }, vector, ...others]
        : [kernel, ...others, vector];
    },
    outputShapes,
    multiplyAdds,
    renewsWeights: true,
    refusal: (config) => refusalInside(specOf, nestedLayer(config, "layer")),
  };
}
