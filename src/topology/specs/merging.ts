import { TopologyError } from "../../errors.ts";
import type { Shape } from "../../tensor.ts";
import { formatShape } from "../../tensor.ts";
import { integerAt, integersAt, positiveAxis } from "../config-values.ts";
import type { LayerSpec } from "../layer-spec.ts";
import { broadcastShapes } from "./broadcast.ts";
import { knownSize, sampleSize } from "./windows.ts";

/**
 * Creates the spec of an elementwise merge (`keras/src/layers/merging/base_merge.py`), which broadcasts all axes but
 * the batch.
 */
function elementwiseMerge(className: string): LayerSpec {
  return {
    className,
    defaults: {},
    outputShapes: ({ inputs }) => {
      if (
        inputs.length < (className === "Subtract" ? 2 : 1) ||
        (className === "Subtract" && inputs.length > 2)
      ) {
        throw new TopologyError(
          `inputs: expected ${className === "Subtract" ? 2 : "at least one"}, got ${inputs.length}.`,
          "shape",
        );
      }
      return [inputs.map(withoutBatch).reduce(mergeRanks)].map((shape) => [commonBatch(inputs), ...shape]);
    },
    elementwise: true,
    masking: true,
  };
}

function withoutBatch(shape: Shape): Shape {
  return shape.slice(1);
}

function commonBatch(inputs: readonly Shape[]): number | null {
  const batches = new Set(inputs.map((shape) => shape[0] ?? null));
  batches.delete(null);
  const [batch = null] = batches;
  return batches.size === 1 ? batch : null;
}

/** Broadcasts two shapes as `_compute_elemwise_op_output_shape` does: an unknown size makes the result unknown. */
function mergeRanks(first: Shape, second: Shape): Shape {
  const [long, short] = first.length >= second.length ? [first, second] : [second, first];
  const lead = long.slice(0, long.length - short.length);
  const aligned = short.map((size, axis) => {
    const other = long[lead.length + axis] ?? null;
    if (size === null || other === null) return null;
    const [common = null] = broadcastShapes([other], [size]);
    return common;
  });
  return [...lead, ...aligned];
}

/** Concatenate (`keras/src/layers/merging/concatenate.py`). */
const concatenate: LayerSpec = {
  className: "Concatenate",
  defaults: { axis: -1 },
  outputShapes: ({ config, inputs }) => [concatenatedShape(inputs, integerAt(config, "axis"))],
};

/** Returns the shape of concatenated tensors. @throws {TopologyError} if they differ on another axis. */
export function concatenatedShape(inputs: readonly Shape[], axis: number): Shape {
  const [first] = inputs;
  if (!first) throw new TopologyError("inputs: expected at least one, got 0.", "shape");
  const at = positiveAxis(axis, first.length);
  return first.map((_, position) => {
    const sizes = inputs.map((shape) =>
      shape.length === first.length ? (shape[position] ?? null) : Number.NaN,
    );
    if (position === at && !sizes.some(Number.isNaN)) {
      return sizes.reduce((sum, size) => (sum === null || size === null ? null : sum + size));
    }
    const known = sizes.filter((size) => size !== null);
    if (new Set(known).size > 1 || known.some(Number.isNaN)) {
      throw new TopologyError(
        `inputs: expected equal shapes except on axis ${axis}, got ${inputs.map(formatShape).join(" and ")}.`,
        "shape",
      );
    }
    return known[0] ?? null;
  });
}

/** Dot (`keras/src/layers/merging/dot.py`), which contracts one axis of each input. */
const dot: LayerSpec = {
  className: "Dot",
  defaults: { normalize: false },
  outputShapes: ({ config, inputs }) => {
    const [first, second] = pair(inputs);
    const [a, b] = dotAxes(config["axes"] === undefined ? [] : integersAt(config, "axes"), first, second);
    const [left = null, right = null] = [first[a], second[b]];
    if (left !== null && right !== null && left !== right) {
      throw new TopologyError(
        `axes: expected axes of equal size, got ${formatShape(first)} and ${formatShape(second)}.`,
        "shape",
      );
    }
    const shape = [
      ...first.filter((_, axis) => axis !== a),
      ...second.filter((_, axis) => axis !== b && axis !== 0),
    ];
    return [shape.length === 1 ? [...shape, 1] : shape];
  },
  multiplyAdds: ({ config, inputs, outputs }) => {
    const [first, second] = pair(inputs);
    const [a] = dotAxes(integersAt(config, "axes"), first, second);
    return sampleSize(outputs[0]) * knownSize(first, a, "features");
  },
};

function pair(inputs: readonly Shape[]): [Shape, Shape] {
  const [first, second] = inputs;
  if (first && second && inputs.length === 2) return [first, second];
  throw new TopologyError(`inputs: expected 2, got ${inputs.length}.`, "shape");
}

function dotAxes(axes: readonly number[], first: Shape, second: Shape): [number, number] {
  const [a, b = a] = axes;
  if (a === undefined || b === undefined)
    throw new TopologyError("axes: expected one or two axes, got none.");
  return [positiveAxis(a, first.length), positiveAxis(b, second.length)];
}

export const mergingSpecs: readonly LayerSpec[] = [
  elementwiseMerge("Add"),
  elementwiseMerge("Subtract"),
  elementwiseMerge("Multiply"),
  elementwiseMerge("Average"),
  elementwiseMerge("Maximum"),
  elementwiseMerge("Minimum"),
  concatenate,
  dot,
];
