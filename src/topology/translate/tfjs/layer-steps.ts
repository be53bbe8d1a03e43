import type { Json, JsonObject } from "../../../checkpoint.ts";
import type { Shape } from "../../../tensor.ts";
import { toFloat32 } from "../../../tensor.ts";
import { integersAt } from "../../config-values.ts";
import { specOf } from "../../layer-specs.ts";
import { nestedLayer } from "../../specs/recurrent-cells.ts";
import { activated, activationOf } from "./activation-steps.ts";
import { convolutionSteps } from "./convolution-steps.ts";
import { mergingSteps } from "./merging-steps.ts";
import { normalizationSteps } from "./normalization-steps.ts";
import { operationSteps } from "./operation-steps.ts";
import { nameOf, recurrentSteps } from "./recurrent-steps.ts";
import {
  alongLastAxis,
  picked,
  refuse,
  refuseChannelsFirst,
  type SourceLayer,
  type StepRule,
  type TfjsStep,
} from "./step.ts";
import { trainingArguments } from "./training-arguments.ts";

/**
 * Returns the layers of tfjs-layers that compute the same as a Keras layer. Arguments that a rule leaves out matter in
 * training only.
 * @throws {TopologyError} naming the layer, if tfjs-layers has no equivalent.
 */
export function tfjsSteps(layer: SourceLayer): readonly TfjsStep[] {
  const rule = rules.get(layer.className);
  if (rule) return rule(layer);
  return actsInTrainingOnly(layer) ? linear : refuse(layer, "has no such layer");
}

/**
 * Returns whether the layer has no effect at inference, like noise and augmentation. A crop changes the size at any
 * time.
 */
function actsInTrainingOnly({ className }: SourceLayer): boolean {
  const spec = specOf(className);
  return spec?.random === true && !spec.randomWith && className !== "RandomCrop";
}

const linear: readonly TfjsStep[] = [{ className: "Activation", config: { activation: "linear" } }];

/** Returns a rule that keeps the class, the arguments `keys` and the training arguments of `variables`. */
function same(className: string, keys: string, ...variables: readonly string[]): [string, StepRule] {
  const names = keys.split(" ").filter(Boolean);
  return [
    className,
    ({ config }) => [
      {
        className,
        config: { ...picked(config, names), ...trainingArguments(config, ...variables) },
        weighted: true,
      },
    ],
  ];
}

function pooling1d(layer: SourceLayer): readonly TfjsStep[] {
  refuseChannelsFirst(layer);
  return [{ className: layer.className, config: picked(layer.config, ["pool_size", "strides", "padding"]) }];
}

function globalPooling(layer: SourceLayer): readonly TfjsStep[] {
  const { className, config, outputs } = layer;
  if (className.endsWith("1D")) refuseChannelsFirst(layer);
  const pooled: TfjsStep = { className, config: picked(config, ["data_format"]) };
  if (config["keepdims"] !== true) return [pooled];
  return [pooled, reshaped(layer, outputs[0]?.slice(1) ?? [])];
}

function reshaped(layer: SourceLayer, shape: readonly (number | null)[]): TfjsStep {
  if (shape.includes(null)) refuse(layer, "needs an input of known shape");
  return { className: "Reshape", config: { target_shape: shape as readonly Json[] } };
}

/** Writes the inferred target shape, since tfjs-layers cannot infer a size of -1 if the batch size is unknown. */
function reshape({ config, outputs }: SourceLayer): readonly TfjsStep[] {
  const known = outputs[0]?.slice(1).map((size) => size ?? -1);
  return [
    { className: "Reshape", config: known ? { target_shape: known } : picked(config, ["target_shape"]) },
  ];
}

function activationLayer(layer: SourceLayer): readonly TfjsStep[] {
  const { name, after } = activationOf(layer, tfjsSteps);
  return after.length > 0 ? after : [{ className: "Activation", config: { activation: name } }];
}

function relu(layer: SourceLayer): readonly TfjsStep[] {
  const { max_value = null, negative_slope = 0, threshold = 0 } = layer.config;
  if (negative_slope === 0 && threshold === 0) return [{ className: "ReLU", config: { max_value } }];
  if (max_value !== null)
    return refuse(layer, "does not support max_value with a negative_slope or threshold");
  if (threshold === 0) return [{ className: "LeakyReLU", config: { alpha: negative_slope } }];
  if (negative_slope === 0) return [{ className: "ThresholdedReLU", config: { theta: threshold } }];
  return refuse(layer, "does not support a threshold with a negative_slope");
}

function softmax(layer: SourceLayer): readonly TfjsStep[] {
  const [axis = -1, ...more] = integersAt({ axis: -1, ...layer.config }, "axis");
  if (more.length > 0) refuse(layer, "does not support a softmax over several axes");
  if (layer.inputs.length > 1) refuse(layer, "does not support a mask as an argument of the call");
  return alongLastAxis(layer, { className: "Softmax", config: { axis: -1 } }, axis);
}

function elu(layer: SourceLayer): readonly TfjsStep[] {
  if ((layer.config["alpha"] ?? 1) !== 1) refuse(layer, "supports an alpha of 1 only");
  return [{ className: "ELU", config: { alpha: 1 } }];
}

function prelu(layer: SourceLayer): readonly TfjsStep[] {
  const { config } = layer;
  return [
    {
      className: "PReLU",
      config: { ...picked(config, ["shared_axes"]), ...trainingArguments(config, "alpha") },
      weighted: true,
    },
  ];
}

/** Translates Flatten, which tfjs-layers supports for inputs of three or more dimensions only. */
function flatten(layer: SourceLayer): readonly TfjsStep[] {
  const { config, inputs } = layer;
  if ((inputs[0]?.length ?? 3) < 3) return linear;
  if (inputs[0]?.slice(1).includes(null)) refuse(layer, "needs an input of known shape");
  return [{ className: "Flatten", config: picked(config, ["data_format"]) }];
}

function upsampling(layer: SourceLayer): readonly TfjsStep[] {
  const { interpolation = "nearest" } = layer.config;
  if (interpolation !== "nearest")
    refuse(layer, `samples other positions for interpolation ${JSON.stringify(interpolation)}`);
  return [{ className: "UpSampling2D", config: picked(layer.config, ["size", "data_format"]) }];
}

/** Translates SpatialDropout to a Dropout with one noise value per feature map. */
function spatialDropout({ config, inputs }: SourceLayer): readonly TfjsStep[] {
  const rank = inputs[0]?.length ?? 4;
  const channel = config["data_format"] === "channels_first" ? 1 : rank - 1;
  const noise = Array.from({ length: rank }, (_, axis) => (axis === 0 || axis === channel ? null : 1));
  return [{ className: "Dropout", config: { ...picked(config, ["rate", "seed"]), noise_shape: noise } }];
}

function inputLayer({ config }: SourceLayer): readonly TfjsStep[] {
  const dtype = String(config["dtype"] ?? "float32");
  const own: JsonObject = {
    batch_input_shape: config["batch_shape"] ?? null,
    dtype: dtype.includes("float") ? "float32" : dtype === "bool" ? "bool" : "int32",
    sparse: false,
  };
  return [{ className: "InputLayer", config: own }];
}

/**
 * Keeps `mask_zero`, although tfjs-layers computes the mask and then loses it. Models that depend on it are refused.
 */
const embedding: StepRule = ({ config }) => [
  {
    className: "Embedding",
    config: {
      ...picked(config, ["input_dim", "output_dim", "mask_zero"]),
      ...trainingArguments(config, "embeddings"),
    },
    weighted: true,
  },
];

/** Translates TimeDistributed and its inner layer. */
function timeDistributed(layer: SourceLayer): readonly TfjsStep[] {
  const { className, config } = nestedLayer(layer.config, "layer");
  const withoutTime = ([batch = null, , ...rest]: Shape): Shape => [batch, ...rest];
  const [inner, ...more] = tfjsSteps({
    ...layer,
    className,
    config,
    inputs: layer.inputs.map(withoutTime),
    outputs: layer.outputs.map(withoutTime),
  });
  if (!inner || more.length > 0) return refuse(layer, `cannot wrap a ${className} that computes the same`);
  const json = { class_name: inner.className, config: { name: nameOf(config), ...inner.config } };
  return [{ className: "TimeDistributed", config: { layer: json }, weighted: true }];
}

const pooling = "pool_size strides padding data_format";

/** Translates LayerScale to a Rescaling. Its weight becomes an argument, which tfjs-layers does not train. */
function layerScale(layer: SourceLayer): readonly TfjsStep[] {
  const [gamma] = layer.weights;
  if (!gamma) return refuse(layer, "needs the weight gamma, which is not in the file");
  return [{ className: "Rescaling", config: { scale: [...toFloat32(gamma)], offset: 0 } }];
}

function customScale({ config }: SourceLayer): readonly TfjsStep[] {
  return [
    { className: "Rescaling", config: { scale: config["scale"] ?? 1, offset: 0 }, reads: [{ input: 1 }] },
    { className: "Add", config: {}, reads: [{ input: 0 }, { step: 0 }] },
  ];
}

/** Rules for layers that keras.applications defines. */
const applicationSteps: readonly (readonly [string, StepRule])[] = [
  ["LayerScale", layerScale],
  ["CustomScaleLayer", customScale],
];

const rules: ReadonlyMap<string, StepRule> = new Map<string, StepRule>([
  ["InputLayer", inputLayer],
  ["Dense", (layer) => activated(layer, activationOf(layer, tfjsSteps), "units use_bias", "kernel", "bias")],
  ...convolutionSteps((layer) => activationOf(layer, tfjsSteps)),
  ["MaxPooling1D", pooling1d],
  ["AveragePooling1D", pooling1d],
  same("MaxPooling2D", pooling),
  same("AveragePooling2D", pooling),
  same("MaxPooling3D", pooling),
  same("AveragePooling3D", pooling),
  ["GlobalAveragePooling1D", globalPooling],
  ["GlobalMaxPooling1D", globalPooling],
  ["GlobalAveragePooling2D", globalPooling],
  ["GlobalMaxPooling2D", globalPooling],
  ["Activation", activationLayer],
  ["ReLU", relu],
  [
    "LeakyReLU",
    ({ config }) => [{ className: "LeakyReLU", config: { alpha: config["negative_slope"] ?? 0.3 } }],
  ],
  ["PReLU", prelu],
  ["ELU", elu],
  ["Softmax", softmax],
  same("ThresholdedReLU", "theta"),
  ["Flatten", flatten],
  ["Reshape", reshape],
  same("Permute", "dims"),
  same("RepeatVector", "n"),
  same("Masking", "mask_value"),
  ["Embedding", embedding],
  same("ZeroPadding2D", "padding data_format"),
  same("Cropping2D", "cropping data_format"),
  ["UpSampling2D", upsampling],
  same("Dropout", "rate noise_shape seed"),
  same("SpatialDropout1D", "rate seed"),
  ["SpatialDropout2D", spatialDropout],
  ["SpatialDropout3D", spatialDropout],
  same("GaussianNoise", "stddev"),
  same("GaussianDropout", "rate"),
  same("AlphaDropout", "rate noise_shape"),
  ["Identity", () => linear],
  ...applicationSteps,
  ...normalizationSteps,
  ...mergingSteps,
  ...operationSteps,
  ...recurrentSteps,
  ["TimeDistributed", timeDistributed],
]);
