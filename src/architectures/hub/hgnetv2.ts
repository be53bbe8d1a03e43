import type { Json, JsonObject } from "../../checkpoint.ts";
import { isObject } from "../../topology/config-values.ts";
import type { Output } from "../network-output.ts";
import type { HubBackbone, HubHead } from "./hub-class.ts";
import {
  activationOf,
  type BuildComposite,
  type HubLayer,
  listOf,
  numberOf,
  numbersIn,
  numbersOf,
} from "./hub-network.ts";
import { elementOf } from "./transformer-parts.ts";

/**
 * HGNetV2: blocks that join the results of all of their convolutions.
 *
 * Source: `keras_hub/src/models/hgnetv2/hgnetv2_backbone.py`, `hgnetv2_encoder.py`, `hgnetv2_layers.py`.
 */
export const hgnetv2Backbone: HubBackbone = {
  className: "HGNetV2Backbone",
  networks: "HGNetV2",
  // KerasHub returns the result of every stage by name; a classifier reads that of the last.
  isWithinTask: true,
  build: (net, config) => {
    const isAffine = config["use_learnable_affine_block"] === true;
    const x = net.composite("HGNetV2Embeddings", "embedder", net.input, stem(config, isAffine));
    return net.composite("HGNetV2Encoder", "encoder", x, (add, given) => {
      let y = given;
      for (const [index, filters] of listOf(config, "stackwise_stage_filters").entries()) {
        const stage = stageOf(config, index, filters, isAffine);
        const attribute = elementOf("stages_list", "HGNetV2Stage", index);
        y = add.composite(attribute, "HGNetV2Stage", `encoder_stage_${index}`, y, stageSteps(stage));
      }
      return y;
    });
  },
};

interface Convolution {
  readonly filters: number;
  readonly size: number;
  readonly stride?: number;
  readonly groups?: number;
  readonly activation?: string | null;
  readonly isAffine: boolean;
}

/** Returns the steps of a convolution with its padding, normalization and activation (`HGNetV2ConvLayer`). */
function convolution(options: Convolution): BuildComposite {
  const { filters, size, stride = 1, groups = 1, activation = "relu", isAffine } = options;
  const margin = Math.floor((size - 1) / 2);
  return (add, given) => {
    let x = add("padding", "ZeroPadding2D", { padding: [margin, margin] }, given);
    const own = { filters, kernel_size: [size, size], strides: [stride, stride], padding: "valid" };
    x = add("convolution", "Conv2D", { ...own, groups, use_bias: false }, x);
    x = add("normalization", "BatchNormalization", { axis: -1, epsilon: 1e-5, momentum: 0.9 }, x);
    if (activation !== null) {
      const [className, config] =
        activation === "relu" ? (["ReLU", {}] as const) : (["Activation", { activation }] as const);
      x = add("activation_layer", className, config, x);
    }
    return isAffine ? add.composite("lab", "HGNetV2LearnableAffineBlock", "lab", x, affine) : x;
  };
}

/** Scales and moves everything by two learned numbers. */
function affine(add: HubLayer, given: Output): Output {
  const [scale, bias] = ["scale", "bias"].map((name, index) =>
    add(null, "Reshape", { target_shape: [1, 1, 1] }, add.variable({ name, index, shape: [] }, given)),
  );
  if (!scale || !bias) return given;
  return add(null, "Add", {}, [add(null, "Multiply", {}, [scale, given]), bias]);
}

function stem(config: JsonObject, isAffine: boolean): BuildComposite {
  const [, inner = 0, last = 0] = numbersOf(config, "stem_channels");
  const activation = config["hidden_act"] === null ? null : activationOf(config, "hidden_act");
  return (add, given) => {
    const convolve = (name: string, x: Output, filters: number, size: number, stride = 1): Output =>
      add.composite(
        `${name}_layer`,
        "HGNetV2ConvLayer",
        `embedder_${name}`,
        x,
        convolution({ filters, size, stride, activation, isAffine }),
      );
    const padded = (attribute: string, x: Output): Output => {
      const margins = [
        [0, 1],
        [0, 1],
      ];
      return add(attribute, "ZeroPadding2D", { padding: margins }, x);
    };
    const x = padded("padding1", convolve("stem1", given, inner, 3, 2));
    let side = convolve("stem2a", x, Math.floor(inner / 2), 2);
    side = convolve("stem2b", padded("padding2", side), inner, 2);
    const pooled = add("pool_layer", "MaxPooling2D", { pool_size: [2, 2], strides: [1, 1] }, x);
    const joined = add("concatenate_layer", "Concatenate", { axis: -1 }, [pooled, side]);
    return convolve("stem4", convolve("stem3", joined, inner, 3, 2), last, 1);
  };
}

interface Stage {
  readonly index: number;
  readonly inputs: number;
  readonly middle: number;
  readonly outputs: number;
  readonly blocks: number;
  readonly layers: number;
  readonly size: number;
  readonly isDownsampled: boolean;
  readonly isLight: boolean;
  readonly isAffine: boolean;
}

function stageOf(config: JsonObject, index: number, filters: Json, isAffine: boolean): Stage {
  const name = "stackwise_stage_filters";
  const [inputs = 0, middle = 0, outputs = 0, blocks = 0, layers = 0, size = 3] = numbersIn(
    config,
    name,
    filters,
  );
  const isDownsampled = listOf(config, "apply_downsample")[index] === true;
  const isLight = listOf(config, "use_lightweight_conv_block")[index] === true;
  return { index, inputs, middle, outputs, blocks, layers, size, isDownsampled, isLight, isAffine };
}

function stageSteps(stage: Stage): BuildComposite {
  const { index, inputs, blocks, isDownsampled } = stage;
  return (add, given) => {
    let x = given;
    if (isDownsampled) {
      const own = { filters: inputs, size: 3, stride: 2, groups: inputs, activation: null, isAffine: false };
      x = add.composite("downsample_layer", "HGNetV2ConvLayer", "downsample", x, convolution(own));
    }
    for (let block = 0; block < blocks; block++) {
      const attribute = elementOf("blocks_list", "HGNetV2BasicLayer", block);
      const name = `encoder_stage_${index}_block_${block}`;
      x = add.composite(attribute, "HGNetV2BasicLayer", name, x, blockSteps(stage, block > 0));
    }
    return x;
  };
}

function blockSteps(stage: Stage, isResidual: boolean): BuildComposite {
  const { middle, outputs, layers, size, isLight, isAffine } = stage;
  return (add, given) => {
    const results = [given];
    let x = given;
    for (let layer = 0; layer < layers; layer++) {
      const className = isLight ? "HGNetV2ConvLayerLight" : "HGNetV2ConvLayer";
      const steps = isLight
        ? light(middle, size, isAffine)
        : convolution({ filters: middle, size, isAffine });
      x = add.composite(elementOf("layer_list", className, layer), className, `layer_${layer}`, x, steps);
      results.push(x);
    }
    x = add("concatenate_layer", "Concatenate", { axis: -1 }, results);
    for (const [attribute, filters] of [
      ["aggregation_squeeze_conv", Math.floor(outputs / 2)],
      ["aggregation_excitation_conv", outputs],
    ] as const) {
      x = add.composite(
        attribute,
        "HGNetV2ConvLayer",
        attribute,
        x,
        convolution({ filters, size: 1, isAffine }),
      );
    }
    return isResidual ? add("add_layer", "Add", {}, [x, given]) : x;
  };
}

/** Returns the steps of a pointwise convolution and one of each channel (`HGNetV2ConvLayerLight`). */
function light(filters: number, size: number, isAffine: boolean): BuildComposite {
  const first = convolution({ filters, size: 1, activation: null, isAffine: false });
  const second = convolution({ filters, size, groups: filters, isAffine });
  return (add, given) => {
    const x = add.composite("conv1_layer", "HGNetV2ConvLayer", "conv1", given, first);
    return add.composite("conv2_layer", "HGNetV2ConvLayer", "conv2", x, second);
  };
}

/**
 * The head of HGNetV2's classifier: a convolution, global pooling, a Dense.
 *
 * Source: `keras_hub/src/models/hgnetv2/hgnetv2_image_classifier.py`.
 */
export const hgnetv2Head: HubHead = {
  scores: "predictions",
  build: (net, config, features) => {
    const entry = config["backbone"] ?? null;
    const backbone = (isObject(entry) ? entry["config"] : {}) as JsonObject;
    const filters = numberOf(config, "head_filters", numbersOf(backbone, "hidden_sizes").at(-1));
    const isAffine = backbone["use_learnable_affine_block"] === true;
    const steps = convolution({ filters, size: 1, isAffine });
    let x = net.composite("HGNetV2ConvLayer", "head_last", features, steps);
    const pooling = config["pooling"] === "max" ? "GlobalMaxPooling2D" : "GlobalAveragePooling2D";
    x = net.layer(pooling, { keepdims: false }, x, "pooler");
    x = net.layer("Flatten", {}, x, "flatten");
    x = net.layer("Dropout", { rate: numberOf(config, "dropout", 0) }, x, "output_dropout");
    const scores = { units: numberOf(config, "num_classes"), activation: activationOf(config) };
    return net.layer("Dense", scores, x, "predictions");
  },
};
