import { booleanAt, countAt } from "../config-values.ts";
import type { CallShapes, LayerSpec, WeightSpec } from "../layer-spec.ts";
import { quantizedWeights } from "./quantized-weights.ts";
import { kernelAndBias, variable, withLowRank } from "./variables.ts";
import { knownSize, sampleSize } from "./windows.ts";

/** Dense (`keras/src/layers/core/dense.py`). */
const dense: LayerSpec = {
  className: "Dense",
  defaults: {
    activation: "linear",
    use_bias: true,
    ...kernelAndBias,
  },
  weights: denseWeights,
  outputShapes: ({ config, inputs }) => {
    knownSize(inputs[0], inputs[0].length - 1, "features");
    return [[...inputs[0].slice(0, -1), countAt(config, "units")]];
  },
  masking: true,
  multiplyAdds: ({ inputs, outputs }) => sampleSize(outputs[0]) * (inputs[0].at(-1) ?? 0),
};

function denseWeights({ config, inputs }: CallShapes): WeightSpec[] {
  const features = knownSize(inputs[0], inputs[0].length - 1, "features");
  const units = countAt(config, "units");
  const weights = [
    variable(config, "kernel", [features, units]),
    ...(booleanAt(config, "use_bias") ? [variable(config, "bias", [units])] : []),
  ];
  const layout = { rows: features, columns: units, scaleShape: [units], shared: "rows" } as const;
  return quantizedWeights(config, withLowRank(config, weights), layout);
}

export const denseSpecs: readonly LayerSpec[] = [dense];
