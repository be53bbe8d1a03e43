import type { JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import type { Shape } from "../../tensor.ts";
import { integerAt, isTrueAt, numberAt, positiveAxis, sizesAt } from "../config-values.ts";
import type { LayerSpec, WeightSpec } from "../layer-spec.ts";
import { nestedLayer, within } from "./recurrent-cells.ts";
import { ones, variable, zeros } from "./variables.ts";
import { knownSize, requireRank } from "./windows.ts";
import { refusalInside, type SpecOf, wrappedLayer } from "./wrappers.ts";

/** @file Layers of well-known packages that are none of Keras's, each by its public definition. */

/** ExpandLastDim of autokeras (`autokeras/keras_layers.py`): a new last axis of size 1. */
const expandLastDim: LayerSpec = {
  className: "autokeras>ExpandLastDim",
  defaults: {},
  outputShapes: ({ inputs: [x] }) => [[...x, 1]],
};

/**
 * InstanceNormalization of keras_contrib (`layers/normalization/instancenormalization.py`), which adds epsilon to the
 * deviation. Without an axis everything but the batch is normalized together.
 */
const instanceNormalization: LayerSpec = {
  className: "keras_contrib>InstanceNormalization",
  defaults: {
    axis: null,
    epsilon: 0.001,
    center: true,
    scale: true,
    gamma_initializer: ones,
    beta_initializer: zeros,
  },
  weights: ({ config, inputs: [x] }) => {
    const shape = config["axis"] === null ? [1] : [sizeAlong(x, integerAt(config, "axis"))];
    return [
      ...(isTrueAt(config, "scale") ? [variable(config, "gamma", shape)] : []),
      ...(isTrueAt(config, "center") ? [variable(config, "beta", shape)] : []),
    ];
  },
  outputShapes: ({ inputs: [x] }) => [x],
};

/** L2Normalization of ssd_keras (`keras_layers/keras_layer_L2Normalization.py`): unit length by channel, and a factor. */
const l2Normalization: LayerSpec = {
  className: "ssd_keras>L2Normalization",
  defaults: { gamma_init: 20 },
  weights: ({ config, inputs: [x] }) => {
    const initializer = { class_name: "Constant", config: { value: numberAt(config, "gamma_init") } };
    return [named(config, "gamma", [sizeAlong(x, 3)], initializer)];
  },
  outputShapes: ({ inputs: [x] }) => {
    requireRank(x, 4);
    return [x];
  },
};

/** Scale behind each BatchNormalization of the networks that were converted from Caffe: a factor and an offset. */
const scale: LayerSpec = {
  className: "caffe_keras>Scale",
  defaults: { axis: -1 },
  weights: ({ config, inputs: [x] }) => {
    const shape = [sizeAlong(x, integerAt(config, "axis"))];
    return [named(config, "gamma", shape, ones), named(config, "beta", shape, zeros)];
  },
  outputShapes: ({ inputs: [x] }) => [x],
  elementwise: true,
};

/** BilinearUpsampling of keras-deeplab-v3-plus (`model.py`), which aligns the corners of the images. */
const bilinearUpsampling: LayerSpec = {
  className: "keras_deeplab>BilinearUpsampling",
  defaults: { upsampling: [2, 2], output_size: null },
  outputShapes: ({ config, inputs: [x] }) => {
    requireRank(x, 4);
    const [batch = null, high = null, wide = null, channels = null] = x;
    const [height = 1, width = 1] = sizesAt(config, config["upsampling"] ? "upsampling" : "output_size", 2);
    if (!config["upsampling"]) return [[batch, height, width, channels]];
    return [[batch, high && high * height, wide && wide * width, channels]];
  },
};

/**
 * WeightNormalization of tensorflow_addons (`layers/wrappers.py`): `v` is the kernel's direction, `g` its length by unit. With `data_init`, the default, files also hold the layer as it was before its first batch. Recurrent layers
 * are refused.
 */
function weightNormalization(specOf: SpecOf): LayerSpec {
  const { inside, outputShapes, multiplyAdds } = wrappedLayer(specOf);
  return {
    className: "Addons>WeightNormalization",
    defaults: { data_init: true },
    weights: (outer) => {
      const { spec, call } = inside(outer);
      const clone = within("_naked_clone_layer", { trainable: false }, spec.weights?.(call) ?? []);
      const own = within("layer", call.config, spec.weights?.(call) ?? []);
      const kernel = own.find(({ name }) => name === "layer/kernel");
      const others = own.filter((weight) => weight !== kernel);
      if (!kernel) {
        throw new TopologyError("layer: expected one with a kernel inside, got none.", "unsupported-layer");
      }
      return [
        { name: "g", shape: [kernel.shape.at(-1) ?? 1], trainable: true, initializer: ones },
        { ...kernel, name: "v", formerNames: ["kernel"] },
        ...others.filter(({ trainable }) => trainable),
        ...others.filter(({ trainable }) => !trainable),
        { name: "initialized", shape: [], trainable: false, initializer: zeros, dtype: "bool" },
        ...(isTrueAt(outer.config, "data_init") ? clone : []),
      ];
    },
    outputShapes,
    multiplyAdds,
    refusal: (config) => {
      const layer = nestedLayer(config, "layer");
      return /^(RNN|LSTM|GRU|SimpleRNN)$/.test(layer.className)
        ? {
            reason: "it normalizes a recurrent kernel",
            advice: "Call its remove() in Python and save the model again.",
          }
        : refusalInside(specOf, layer);
    },
  };
}

/** A weight that files name after the layer too: `scale_conv1_gamma`. */
function named(
  { name: layer = null }: JsonObject,
  name: string,
  shape: readonly number[],
  initializer: WeightSpec["initializer"],
): WeightSpec {
  return { name, shape, trainable: true, initializer, formerNames: [`${String(layer)}_${name}`] };
}

function sizeAlong(input: Shape, axis: number): number {
  return knownSize(input, positiveAxis(axis, input.length), "features");
}

/** Returns the specs of layers of packages. `specOf` finds the specs of layers inside others. */
export function packageSpecs(specOf: SpecOf): readonly LayerSpec[] {
  return [
    expandLastDim,
    instanceNormalization,
    l2Normalization,
    scale,
    bilinearUpsampling,
    weightNormalization(specOf),
  ];
}
