import type { Json, JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import type { Shape } from "../../tensor.ts";
import { booleanAt, countAt, isObject } from "../config-values.ts";
import type { WeightSpec } from "../layer-spec.ts";
import { snakeCase } from "../naming.ts";
import { glorotUniform, orthogonal, variable, zeros } from "./variables.ts";
import { knownSize } from "./windows.ts";

/** Specification of a recurrent cell. `step` is the input shape of one step, batch included. */
export interface CellSpec {
  readonly weights: (config: JsonObject, step: Shape) => readonly WeightSpec[];
  /** Returns the shape of each state, for stacked cells in order of the cells. */
  readonly states: (config: JsonObject, step: Shape) => readonly Shape[];
  readonly output: (config: JsonObject, step: Shape) => Shape;
  readonly multiplyAdds: (config: JsonObject, step: Shape) => number;
}

/** A layer or cell in the config of another layer, with its config in Keras 3's vocabulary. */
export interface NestedLayer {
  readonly className: string;
  readonly config: JsonObject;
}

/** Default arguments of dense cells and of the layers that are made of them. */
export const cellDefaults: JsonObject = {
  activation: "tanh",
  use_bias: true,
  kernel_initializer: glorotUniform,
  recurrent_initializer: orthogonal,
  bias_initializer: zeros,
  kernel_regularizer: null,
  recurrent_regularizer: null,
  bias_regularizer: null,
  kernel_constraint: null,
  recurrent_constraint: null,
  bias_constraint: null,
  dropout: 0,
  recurrent_dropout: 0,
  seed: null,
};

export const gateDefaults: JsonObject = { ...cellDefaults, recurrent_activation: "sigmoid" };

/**
 * Creates the spec of a cell whose kernels hold all gates side by side (`keras/src/layers/rnn/simple_rnn.py`, `gru.py`,
 * `lstm.py`).
 */
function denseCell(gates: number, stateCount: number, biasShape: (config: JsonObject) => number[]): CellSpec {
  const output = (config: JsonObject, step: Shape): Shape => [step[0] ?? null, countAt(config, "units")];
  return {
    weights: (config, step) => {
      const units = countAt(config, "units");
      const features = knownSize(step, step.length - 1, "features");
      return [
        variable(config, "kernel", [features, gates * units]),
        variable(config, "recurrent_kernel", [units, gates * units], { argument: "recurrent" }),
        ...(booleanAt(config, "use_bias") ? [variable(config, "bias", biasShape(config))] : []),
      ];
    },
    states: (config, step) => Array.from({ length: stateCount }, () => output(config, step)),
    output,
    multiplyAdds: (config, step) => {
      const units = countAt(config, "units");
      return gates * units * ((step.at(-1) ?? 0) + units);
    },
  };
}

const stackedCells: CellSpec = {
  weights: (config, step) => {
    const places = cellPlaces(nestedCells(config));
    return throughStack(config, step, ({ spec, cell, input }, index) =>
      within(places[index] ?? "", cell.config, spec.weights(cell.config, input)),
    );
  },
  states: (config, step) =>
    throughStack(config, step, ({ spec, cell, input }) => spec.states(cell.config, input)),
  output: (config, step) =>
    throughStack(config, step, ({ spec, cell, input }) => [spec.output(cell.config, input)]).at(-1) ?? step,
  multiplyAdds: (config, step) =>
    throughStack(config, step, ({ spec, cell, input }) => [spec.multiplyAdds(cell.config, input)]).reduce(
      (sum, count) => sum + count,
    ),
};

const cells: Readonly<Record<string, CellSpec>> = {
  SimpleRNNCell: denseCell(1, 1, (config) => [countAt(config, "units")]),
  LSTMCell: denseCell(4, 2, (config) => [4 * countAt(config, "units")]),
  GRUCell: denseCell(3, 1, (config) => {
    const units = 3 * countAt(config, "units");
    return booleanAt(config, "reset_after") ? [2, units] : [units];
  }),
  StackedRNNCells: stackedCells,
};

/** Returns the spec of a cell. @throws {TopologyError} for a custom cell. */
export function cellSpec(className: string): CellSpec {
  const spec = cells[className];
  if (spec) return spec;
  throw new TopologyError(
    `cell: expected one of ${Object.keys(cells).join(", ")}, got ${className}. Its code is not in the file.`,
    "unsupported-layer",
  );
}

/** Returns whether a cell, and for stacked cells each of them, is one of Keras's. */
export function isKnownCell(cell: NestedLayer): boolean {
  if (!(cell.className in cells)) return false;
  return cell.className !== "StackedRNNCells" || nestedCells(cell.config).every(isKnownCell);
}

/** Returns the layer or cell in another layer's config. @throws {TopologyError} if there is none. */
export function nestedLayer(config: JsonObject, key: string): NestedLayer {
  return asNested(config[key], key);
}

/** Lists the cells of StackedRNNCells. */
export function nestedCells(config: JsonObject): readonly NestedLayer[] {
  return nestedLayers(config, "cells");
}

/** Lists the layers in another layer's config. @throws {TopologyError} if there are none. */
export function nestedLayers(config: JsonObject, key: string): readonly NestedLayer[] {
  const list = config[key];
  if (!Array.isArray(list) || list.length === 0) {
    throw new TopologyError(
      `${key}: expected a list of ${key}, got none. The config was not written by Keras.`,
    );
  }
  return (list as readonly Json[]).map((item) => asNested(item, key));
}

function asNested(json: Json | undefined, key: string): NestedLayer {
  if (isObject(json) && typeof json["class_name"] === "string" && isObject(json["config"])) {
    return { className: json["class_name"], config: json["config"] };
  }
  // Before Keras 2.2.3 the config of a Sequential was the list of its layers.
  if (isObject(json) && json["class_name"] === "Sequential" && Array.isArray(json["config"])) {
    return { className: "Sequential", config: { layers: json["config"] } };
  }
  throw new TopologyError(`${key}: expected a layer, got none. The config was not written by Keras.`);
}

/** Returns the place of each stacked cell in Keras's archives: `cells/lstm_cell`, `cells/lstm_cell_1`. */
export function cellPlaces(stack: readonly NestedLayer[]): string[] {
  return placesBelow("cells", stack);
}

/**
 * Returns the place of each layer of a list in Keras's archives (`_save_container_state` of `saving_lib.py`). @param
 * root Name of the list.
 */
export function placesBelow(root: string, stack: readonly NestedLayer[]): string[] {
  const used = new Map<string, number>();
  return stack.map(({ className }) => {
    const base = snakeCase(className);
    const count = used.get(base) ?? 0;
    used.set(base, count + 1);
    return `${root}/${base}${count === 0 ? "" : `_${count}`}`;
  });
}

/** Prefixes the weights of an inner layer with its place. They do not train if the layer's own flag is false. */
export function within(
  place: string,
  { trainable }: JsonObject,
  weights: readonly WeightSpec[],
): readonly WeightSpec[] {
  return weights.map((weight) => ({
    ...weight,
    name: `${place}/${weight.name}`,
    trainable: weight.trainable && trainable !== false,
    ...(weight.formerNames && { formerNames: weight.formerNames.map((name) => `${place}/${name}`) }),
  }));
}

interface StackedCell {
  readonly cell: NestedLayer;
  readonly spec: CellSpec;
  readonly input: Shape;
}

/** Visits stacked cells in order, each with the output shape of the cell before it as its input shape. */
function throughStack<T>(
  config: JsonObject,
  step: Shape,
  visit: (cell: StackedCell, index: number) => readonly T[],
): T[] {
  let input = step;
  return nestedCells(config).flatMap((cell, index) => {
    const spec = cellSpec(cell.className);
    const given = visit({ cell, spec, input }, index);
    input = spec.output(cell.config, input);
    return given;
  });
}
