import { booleanAt, countAt } from "../config-values.ts";
import type { CallShapes, LayerSpec, WeightSpec } from "../layer-spec.ts";
import { withLowRank } from "./low-rank.ts";
import { withScale } from "./quantization.ts";
import { kernelAndBias, variable } from "./variables.ts";
import { knownSize, sampleSize } from "./windows.ts";

/** `keras/src/layers/core/dense.py`. */
const dense: LayerSpec = {
  className: "Dense",
  defaults: {
    activation: "linear",
    use_bias: true,
    ...kernelAndBias,
  },
  weights: denseWeights,
  outputShapes: ({ config, inputs }) => {
    knownSize(inputs[0]!, inputs[0]!.length - 1, "features");
    return [[...inputs[0]!.slice(0, -1), countAt(config, "units")]];
  },
  masking: true,
  multiplyAdds: (call) => sampleSize(call.outputs[0]!) * denseWeights(call)[0]!.shape[0]!,
};

function denseWeights({ config, inputs }: CallShapes): WeightSpec[] {
  const features = knownSize(inputs[0]!, inputs[0]!.length - 1, "features");
  const units = countAt(config, "units");
  const weights = [
    variable(config, "kernel", [features, units]),
    ...(booleanAt(config, "use_bias") ? [variable(config, "bias", [units])] : []),
  ];
  return withScale(config, withLowRank(config, weights), [units]);
}

export const denseSpecs: readonly LayerSpec[] = [dense];
