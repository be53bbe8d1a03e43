import { TopologyError } from "../../errors.ts";
import type { Shape } from "../../tensor.ts";
import { formatShape } from "../../tensor.ts";
import { countAt, integersAt } from "../config-values.ts";
import type { CallShapes, LayerSpec } from "../layer-spec.ts";
import { requireRank } from "./windows.ts";

const sameDType: NonNullable<LayerSpec["outputDTypes"]> = ({ dtypes }) => [dtypes[0]];

/**
 * Flatten (`keras/src/layers/reshaping/flatten.py`). An input of rank 2 stays as it is and one of rank 1 gets an axis.
 */
const flatten: LayerSpec = {
  className: "Flatten",
  defaults: { data_format: "channels_last" },
  outputShapes: ({ inputs }) => {
    const [batch = null, ...rest] = inputs[0];
    return [[batch, product(rest)]];
  },
  outputDTypes: sameDType,
};

/** Reshape (`keras/src/layers/reshaping/reshape.py`). */
const reshape: LayerSpec = {
  className: "Reshape",
  defaults: {},
  outputShapes: ({ config, inputs }) => {
    const [batch = null, ...rest] = inputs[0];
    return [[batch, ...reshaped(rest, integersAt(config, "target_shape"))]];
  },
  outputDTypes: sameDType,
};

/**
 * Returns `target` with its -1 resolved, null if the input size is unknown. @throws {TopologyError} if the sizes
 * differ.
 */
export function reshaped(input: Shape, target: readonly number[]): Shape {
  const size = product(input);
  const known = target.reduce((total, length) => (length === -1 ? total : total * length), 1);
  const unknown = target.filter((length) => length === -1).length;
  const fits =
    unknown === 0 ? size === null || size === known : unknown === 1 && (size === null || size % known === 0);
  if (!fits || target.some((length) => length < -1)) {
    throw new TopologyError(
      `target_shape: expected a shape with as many values as ${formatShape(input)}, got ${formatShape(target)}.`,
      "shape",
    );
  }
  return target.map((length) => (length !== -1 ? length : size === null ? null : size / known));
}

/** Permute (`keras/src/layers/reshaping/permute.py`), whose axes count from 1. */
const permute: LayerSpec = {
  className: "Permute",
  defaults: {},
  outputShapes: ({ config, inputs }) => {
    const input = inputs[0];
    const dims = integersAt(config, "dims");
    requireRank(input, dims.length + 1);
    if ([...dims].sort((a, b) => a - b).some((axis, index) => axis !== index + 1)) {
      throw new TopologyError(
        `dims: expected the axes from 1 to ${dims.length} in some order, got ${formatShape(dims)}.`,
        "shape",
      );
    }
    return [[0, ...dims].map((axis) => input[axis] ?? null)];
  },
  outputDTypes: sameDType,
};

/** RepeatVector (`keras/src/layers/reshaping/repeat_vector.py`). */
const repeatVector: LayerSpec = {
  className: "RepeatVector",
  defaults: {},
  outputShapes: ({ config, inputs }: CallShapes) => {
    requireRank(inputs[0], 2);
    const [batch = null, features = null] = inputs[0];
    return [[batch, countAt(config, "n"), features]];
  },
};

function product(shape: Shape): number | null {
  return shape.reduce(
    (total, size) => (total === null || size === null ? null : total * size),
    1 as number | null,
  );
}

export const reshapingSpecs: readonly LayerSpec[] = [flatten, reshape, permute, repeatVector];
