import type { JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import type { Shape } from "../../tensor.ts";
import { booleanAt, integerAt, integersAt, positiveAxis } from "../config-values.ts";
import type { CallShapes, LayerSpec, WeightSpec } from "../layer-spec.ts";
import { ones, variable, zeros } from "./variables.ts";
import { knownSize } from "./windows.ts";

const affine: JsonObject = {
  axis: -1,
  epsilon: 0.001,
  center: true,
  scale: true,
  beta_initializer: zeros,
  gamma_initializer: ones,
  beta_regularizer: null,
  gamma_regularizer: null,
  beta_constraint: null,
  gamma_constraint: null,
};

/** Returns the input shape after checking the axes. */
const sameShape = ({ config, inputs }: CallShapes): readonly Shape[] => {
  for (const axis of integersAt(config, "axis")) positiveAxis(axis, inputs[0].length);
  return [inputs[0]];
};

function scaleAndCenter(config: JsonObject, shape: readonly number[]): WeightSpec[] {
  return [
    ...(booleanAt(config, "scale") ? [variable(config, "gamma", shape)] : []),
    ...(booleanAt(config, "center") ? [variable(config, "beta", shape)] : []),
  ];
}

function sizeAlong(input: Shape, axis: number): number {
  return knownSize(input, positiveAxis(axis, input.length), "features");
}

/**
 * BatchNormalization (`keras/src/layers/normalization/batch_normalization.py`). Keras 1 named the statistics
 * `running_mean` and `running_std`.
 */
const batchNormalization: LayerSpec = {
  className: "BatchNormalization",
  defaults: {
    ...affine,
    momentum: 0.99,
    moving_mean_initializer: zeros,
    moving_variance_initializer: ones,
    synchronized: false,
    renorm: false,
    renorm_clipping: null,
    renorm_momentum: 0.99,
  },
  modernize: (config) => ({ ...config, axis: loneAxis(config["axis"]) ?? -1 }),
  weights: ({ config, inputs }) => {
    const shape = [sizeAlong(inputs[0], integerAt(config, "axis"))];
    const statistic = (name: string, argument: string, ...formerNames: string[]): WeightSpec =>
      variable(config, name, shape, { argument, trainable: false, formerNames });
    return [
      ...scaleAndCenter(config, shape),
      statistic("moving_mean", "moving_mean", "running_mean"),
      statistic("moving_variance", "moving_variance", "running_std"),
      ...(config["renorm"] === true
        ? [
            statistic("moving_stddev", "moving_variance"),
            statistic("renorm_mean", "moving_mean"),
            statistic("renorm_stddev", "moving_variance"),
          ]
        : []),
    ];
  },
  outputShapes: sameShape,
  couplesBatch: true,
  elementwise: true,
  masking: true,
};

/** Returns the axis as a number. tf.keras writes a list of one axis. */
function loneAxis(axis: JsonObject[string] | undefined): number | undefined {
  const lone = Array.isArray(axis) && axis.length === 1 ? axis[0] : axis;
  return typeof lone === "number" ? lone : undefined;
}

/** LayerNormalization (`keras/src/layers/normalization/layer_normalization.py`). */
const layerNormalization: LayerSpec = {
  className: "LayerNormalization",
  defaults: { ...affine, rms_scaling: false },
  weights: ({ config, inputs }) => {
    const input = inputs[0];
    const axes = integersAt(config, "axis").sort((a, b) => a - b);
    const shape = axes.map((axis) => sizeAlong(input, axis));
    const rms = booleanAt(config, "rms_scaling");
    return scaleAndCenter(rms ? { ...config, scale: true, center: false } : config, shape);
  },
  outputShapes: sameShape,
  masking: true,
};

/**
 * GroupNormalization (`keras/src/layers/normalization/group_normalization.py`). -1 groups mean one for each channel.
 */
const groupNormalization: LayerSpec = {
  className: "GroupNormalization",
  defaults: { ...affine, groups: 32 },
  weights: ({ config, inputs }) => {
    const channels = sizeAlong(inputs[0], integerAt(config, "axis"));
    const groups = integerAt(config, "groups");
    if (groups !== -1 && (groups < 1 || channels % groups !== 0)) {
      throw new TopologyError(
        `groups: expected a divisor of the number of channels (${channels}), got ${groups}.`,
        "shape",
      );
    }
    return scaleAndCenter(config, [channels]);
  },
  outputShapes: sameShape,
  masking: true,
};

/** UnitNormalization (`keras/src/layers/normalization/unit_normalization.py`). */
const unitNormalization: LayerSpec = {
  className: "UnitNormalization",
  defaults: { axis: -1 },
  outputShapes: sameShape,
  masking: true,
};

/** RMSNormalization (`keras/src/layers/normalization/rms_normalization.py`). */
const rmsNormalization: LayerSpec = {
  className: "RMSNormalization",
  defaults: { axis: -1, epsilon: 1e-6 },
  weights: ({ config, inputs }) => {
    const shape = integersAt(config, "axis").map((axis) => sizeAlong(inputs[0], axis));
    return [{ name: "scale", shape, trainable: true, initializer: ones, regularizer: null }];
  },
  outputShapes: sameShape,
};

export const normalizationSpecs: readonly LayerSpec[] = [
  batchNormalization,
  layerNormalization,
  groupNormalization,
  unitNormalization,
  rmsNormalization,
];
