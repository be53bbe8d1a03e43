import type { Json, JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import type { Shape } from "../../tensor.ts";
import { booleanAt, countAt, isObject } from "../config-values.ts";
import type { WeightSpec } from "../layer-spec.ts";
import { snakeCase } from "../naming.ts";
import { glorotUniform, orthogonal, variable, zeros } from "./variables.ts";
import { knownSize } from "./windows.ts";

/** What one step of a recurrent layer takes and gives, batch first. `step` is the shape of its input. */
export interface CellSpec {
  readonly weights: (config: JsonObject, step: Shape) => readonly WeightSpec[];
  /** One shape a state, those of stacked cells one after another. */
  readonly states: (config: JsonObject, step: Shape) => readonly Shape[];
  readonly output: (config: JsonObject, step: Shape) => Shape;
  readonly multiplyAdds: (config: JsonObject, step: Shape) => number;
}

/** A cell as a config holds it, its own config in Keras 3's vocabulary. */
export interface NestedLayer {
  readonly className: string;
  readonly config: JsonObject;
}

/** Arguments that cells of Dense kind share with the layers made of them. */
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

/** Kernels of all gates side by side (`keras/src/layers/rnn/simple_rnn.py`, `gru.py`, `lstm.py`). */
function denseCell(gates: number, stateCount: number, biasShape: (config: JsonObject) => number[]): CellSpec {
  const states = (config: JsonObject, step: Shape): Shape[] =>
    Array.from({ length: stateCount }, () => [step[0] ?? null, countAt(config, "units")]);
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
    states,
    output: (config, step) => states(config, step)[0]!,
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
      within(places[index]!, cell.config, spec.weights(cell.config, input)),
    );
  },
  states: (config, step) =>
    throughStack(config, step, ({ spec, cell, input }) => spec.states(cell.config, input)),
  output: (config, step) =>
    throughStack(config, step, ({ spec, cell, input }) => [spec.output(cell.config, input)]).at(-1)!,
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

/** @throws {TopologyError} for a cell that is not Keras's own. */
export function cellSpec(className: string): CellSpec {
  const spec = cells[className];
  if (spec) return spec;
  throw new TopologyError(
    `cell: expected one of ${Object.keys(cells).join(", ")}, got ${className}. Its code is not in the file.`,
    "unsupported-layer",
  );
}

export function isKnownCell(cell: NestedLayer): boolean {
  if (!(cell.className in cells)) return false;
  return cell.className !== "StackedRNNCells" || nestedCells(cell.config).every(isKnownCell);
}

/** A layer or cell inside another's config. @throws {TopologyError} where there is none. */
export function nestedLayer(config: JsonObject, key: string): NestedLayer {
  return asNested(config[key], key);
}

/** The cells of StackedRNNCells, first to last. */
export function nestedCells(config: JsonObject): readonly NestedLayer[] {
  return nestedLayers(config, "cells");
}

/** The layers that a config lists, first to last. @throws {TopologyError} where there are none. */
export function nestedLayers(config: JsonObject, key: string): readonly NestedLayer[] {
  const list = config[key];
  if (!Array.isArray(list) || list.length === 0) {
    throw new TopologyError(`${key}: expected a list of ${key}. The config is not one that Keras writes.`);
  }
  return (list as readonly Json[]).map((item) => asNested(item, key));
}

function asNested(json: Json | undefined, key: string): NestedLayer {
  if (isObject(json) && typeof json["class_name"] === "string" && isObject(json["config"])) {
    return { className: json["class_name"], config: json["config"] };
  }
  // Before Keras 2.2.3 a Sequential's config was the list of its layers.
  if (isObject(json) && json["class_name"] === "Sequential" && Array.isArray(json["config"])) {
    return { className: "Sequential", config: { layers: json["config"] } };
  }
  throw new TopologyError(`${key}: expected a layer. The config is not one that Keras writes.`);
}

/** Where Keras keeps each cell of a stack: `cells/lstm_cell`, `cells/lstm_cell_1`. */
export function cellPlaces(stack: readonly NestedLayer[]): string[] {
  return placesBelow("cells", stack);
}

/** Where Keras keeps each layer of a list that is named `root` (`saving_lib.py`, `_save_container_state`). */
export function placesBelow(root: string, stack: readonly NestedLayer[]): string[] {
  const used = new Map<string, number>();
  return stack.map(({ className }) => {
    const base = snakeCase(className);
    const count = used.get(base) ?? 0;
    used.set(base, count + 1);
    return `${root}/${base}${count === 0 ? "" : `_${count}`}`;
  });
}

/** The weights of a layer inside another, under its place; they stand still if its own flag says so. */
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

/** What each cell gives, first to last; one reads the output of that before it. */
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
