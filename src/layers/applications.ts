/** Layers that keras.applications defines for itself (`convnext.py`, `inception_resnet_v2.py`). */
import { add } from "../engine/operations.ts";
import { tf } from "../engine/tf.ts";
import { numberAt } from "../topology/config-values.ts";
import type { Kernel } from "./kernel.ts";
import { inTraining, keptMask } from "./regularization.ts";

export const applicationKernels: Readonly<Record<string, Kernel>> = {
  LayerScale: ({ inputs, weights }) => tf.mul(inputs[0]!, weights["gamma"]!),
  CustomScaleLayer: ({ inputs, config }) => add(inputs[0]!, tf.mul(inputs[1]!, numberAt(config, "scale"))),
  StochasticDepth: inTraining((x, config, seed) => {
    const rate = numberAt(config, "drop_path_rate");
    const kept = keptMask([x.shape[0]!, ...x.shape.slice(1).map(() => 1)], rate, seed);
    return tf.mul(x, tf.div(kept, 1 - rate));
  }),
};
