import { TopologyError } from "../../errors.ts";
import { countAt, numberAt } from "../config-values.ts";
import type { LayerSpec } from "../layer-spec.ts";
import { broadcastShapes } from "./broadcast.ts";

/**
 * LayerScale (`keras/src/applications/convnext.py`). Keras does not name its weight, so files name it `variable`,
 * `variable_1` and so on.
 */
const layerScale: LayerSpec = {
  className: "LayerScale",
  defaults: {},
  weights: ({ config }) => [
    {
      name: "gamma",
      shape: [countAt(config, "projection_dim")],
      trainable: true,
      initializer: { class_name: "Constant", config: { value: numberAt(config, "init_values") } },
      regularizer: null,
      formerNames: ["variable", "Variable"],
    },
  ],
  outputShapes: ({ config, inputs }) => [broadcastShapes(inputs[0], [countAt(config, "projection_dim")])],
  elementwise: true,
};

/** StochasticDepth (`keras/src/applications/convnext.py`), which drops the branch of whole samples in training. */
const stochasticDepth: LayerSpec = {
  className: "StochasticDepth",
  defaults: {},
  outputShapes: ({ inputs }) => [inputs[0]],
  random: true,
  elementwise: true,
};

/**
 * CustomScaleLayer (`keras/src/applications/inception_resnet_v2.py`), which computes `inputs[0] + inputs[1] * scale`.
 */
const customScaleLayer: LayerSpec = {
  className: "CustomScaleLayer",
  defaults: {},
  outputShapes: ({ inputs }) => {
    const [first, second] = inputs;
    if (first && second) return [broadcastShapes(first, second)];
    throw new TopologyError(`inputs: expected 2, got ${inputs.length}.`, "shape");
  },
  elementwise: true,
};

export const applicationSpecs: readonly LayerSpec[] = [layerScale, stochasticDepth, customScaleLayer];
