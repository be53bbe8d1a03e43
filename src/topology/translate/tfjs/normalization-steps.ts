import type { Json, Weight } from "../../../checkpoint.ts";
import { toFloat32 } from "../../../tensor.ts";
import { integersAt, positiveAxis } from "../../config-values.ts";
import { alongLastAxis, picked, refuse, type SourceLayer, type StepRule, type TfjsStep } from "./step.ts";
import { trainingArguments } from "./training-arguments.ts";

function batchNormalization(layer: SourceLayer): readonly TfjsStep[] {
  const { config, inputs } = layer;
  if ((inputs[0]?.length ?? 4) > 4) refuse(layer, "normalizes four dimensions at most");
  if (config["renorm"] === true) refuse(layer, "has no renorm");
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
  // tfjs's wasm and cpu backends normalize along the last axis whatever they are told.
  return alongLastAxis(layer, normalized, axis);
}

function layerNormalization(layer: SourceLayer): readonly TfjsStep[] {
  const { config } = layer;
  if (config["rms_scaling"] === true) refuse(layer, "has no rms_scaling");
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

/** Along the last axis it is a scale and an offset a feature (`keras/src/layers/preprocessing/normalization.py`). */
function normalization(layer: SourceLayer): readonly TfjsStep[] {
  const { config, inputs } = layer;
  const rank = inputs[0]?.length ?? 0;
  const axes = config["axis"] === null ? [] : integersAt({ axis: -1, ...config }, "axis");
  if (axes.some((axis) => positiveAxis(axis, rank) !== rank - 1)) {
    refuse(layer, "has no such layer, and no Rescaling along another axis than the last");
  }
  const mean = numbers(layer, "mean");
  const deviation = numbers(layer, "variance").map((variance) => Math.max(Math.sqrt(variance), 1e-7));
  if (mean.length !== deviation.length) refuse(layer, "needs as many means as variances");
  const inverted = config["invert"] === true;
  const scale = deviation.map((value) => (inverted ? value : 1 / value));
  const offset = mean.map((value, index) => (inverted ? value : -value / deviation[index]!));
  return [{ className: "Rescaling", config: { scale: lone(scale), offset: lone(offset) } }];
}

/** From the layer's weights, or from its config where they were given as arguments. */
function numbers(layer: SourceLayer, name: "mean" | "variance"): number[] {
  const weight = layer.weights.find((candidate: Weight) => candidate.name === name);
  if (weight) return [...toFloat32(weight)];
  const given: Json = layer.config[name] ?? null;
  const list = Array.isArray(given) ? (given.flat(Number.POSITIVE_INFINITY) as Json[]) : [given];
  if (list.every((value) => typeof value === "number")) return list as number[];
  return refuse(layer, `needs its ${name}, which it was not adapted to`);
}

function lone(values: readonly number[]): Json {
  return values.length === 1 ? values[0]! : values;
}

/** Rules for the layers that normalize. */
export const normalizationSteps: readonly (readonly [string, StepRule])[] = [
  ["BatchNormalization", batchNormalization],
  ["LayerNormalization", layerNormalization],
  ["Normalization", normalization],
  ["Rescaling", rescaling],
];
