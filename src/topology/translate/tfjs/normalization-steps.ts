import type { Json, Weight } from "../../../checkpoint.ts";
import { toFloat32 } from "../../../tensor.ts";
import { integersAt, positiveAxis } from "../../config-values.ts";
import { alongLastAxis, picked, refuse, type SourceLayer, type StepRule, type TfjsStep } from "./step.ts";
import { trainingArguments } from "./training-arguments.ts";

function batchNormalization(layer: SourceLayer): readonly TfjsStep[] {
  const { config, inputs } = layer;
  if ((inputs[0]?.length ?? 4) > 4) refuse(layer, "supports inputs of at most four dimensions");
  if (config["renorm"] === true) refuse(layer, "does not support renorm");
  const [axis = -1] = integersAt({ axis: -1, ...config }, "axis");
  const normalized: TfjsStep = {
    className: "BatchNormalization",
    config: {
      ...picked(config, ["momentum", "epsilon", "center", "scale"]),
      axis: -1,
      ...trainingArguments(config, "beta", "gamma", "moving_mean", "moving_variance"),
    },
    weighted: true,
  };
  // The wasm and cpu backends of tfjs always normalize along the last axis.
  return alongLastAxis(layer, normalized, axis);
}

function layerNormalization(layer: SourceLayer): readonly TfjsStep[] {
  const { config } = layer;
  if (config["rms_scaling"] === true) refuse(layer, "does not support rms_scaling");
  return [
    {
      className: "LayerNormalization",
      config: {
        ...picked(config, ["axis", "epsilon", "center", "scale"]),
        ...trainingArguments(config, "beta", "gamma"),
      },
      weighted: true,
    },
  ];
}

function rescaling({ config }: SourceLayer): readonly TfjsStep[] {
  return [{ className: "Rescaling", config: picked(config, ["scale", "offset"]) }];
}

/**
 * Translates a Normalization along the last axis to a Rescaling with a scale and an offset per feature
 * (`keras/src/layers/preprocessing/normalization.py`).
 */
function normalization(layer: SourceLayer): readonly TfjsStep[] {
  const { config, inputs } = layer;
  const rank = inputs[0]?.length ?? 0;
  const axes = config["axis"] === null ? [] : integersAt({ axis: -1, ...config }, "axis");
  if (axes.some((axis) => positiveAxis(axis, rank) !== rank - 1)) {
    refuse(layer, "has no such layer, and its Rescaling supports the last axis only");
  }
  const means = numbers(layer, "mean");
  const variances = numbers(layer, "variance");
  if (means.length !== variances.length) refuse(layer, "needs as many means as variances");
  const inverted = config["invert"] === true;
  const maps = variances.map((variance, index) => {
    const deviation = Math.max(Math.sqrt(variance), 1e-7);
    const mean = means[index] ?? 0;
    return inverted
      ? { scale: deviation, offset: mean }
      : { scale: 1 / deviation, offset: -mean / deviation };
  });
  const scale = maps.map((map) => map.scale);
  const offset = maps.map((map) => map.offset);
  return [{ className: "Rescaling", config: { scale: lone(scale), offset: lone(offset) } }];
}

/** Returns the layer's means or variances, from its weights or from its config if they were given as arguments. */
function numbers(layer: SourceLayer, name: "mean" | "variance"): number[] {
  const weight = layer.weights.find((candidate: Weight) => candidate.name === name);
  if (weight) return [...toFloat32(weight)];
  const given: Json = layer.config[name] ?? null;
  const list = Array.isArray(given) ? (given.flat(Number.POSITIVE_INFINITY) as Json[]) : [given];
  if (list.every((value) => typeof value === "number")) return list as number[];
  return refuse(layer, `needs its ${name}, but the layer was not adapted`);
}

function lone(values: readonly number[]): Json {
  const [only = 0, ...others] = values;
  return values.length > 0 && others.length === 0 ? only : values;
}

/** Rules for normalization layers. */
export const normalizationSteps: readonly (readonly [string, StepRule])[] = [
  ["BatchNormalization", batchNormalization],
  ["LayerNormalization", layerNormalization],
  ["Normalization", normalization],
  ["Rescaling", rescaling],
];
