import type { JsonObject } from "../../checkpoint.ts";
import type { Shape } from "../../tensor.ts";
import { booleanAt } from "../config-values.ts";
import type { CallShapes, LayerSpec, Refusal } from "../layer-spec.ts";
import type { CellSpec } from "./recurrent-cells.ts";
import {
  cellDefaults,
  cellSpec,
  gateDefaults,
  isKnownCell,
  nestedCells,
  nestedLayer,
  within,
} from "./recurrent-cells.ts";
import { requireRank } from "./windows.ts";

/** What every recurrent layer has beside its cell's arguments (`keras/src/layers/rnn/rnn.py`). */
export const loopDefaults: JsonObject = {
  return_sequences: false,
  return_state: false,
  go_backwards: false,
  stateful: false,
  unroll: false,
  zero_output_for_mask: false,
};

/** The cell of a recurrent layer and the config that it reads. */
export interface LayerCell {
  readonly cell: CellSpec;
  readonly config: JsonObject;
}

/** A layer that takes `[N, T, …]` through a cell, a step at a time. */
export function recurrentLayer(
  className: string,
  defaults: JsonObject,
  cellOf: (config: JsonObject) => LayerCell,
  more: Partial<LayerSpec> = {},
): LayerSpec {
  return {
    className,
    defaults: { ...loopDefaults, ...defaults },
    weights: ({ config, inputs }) => {
      const { cell, config: own } = cellOf(config);
      return within("cell", own === config ? {} : own, cell.weights(own, stepShape(inputs[0]!)));
    },
    outputShapes: ({ config, inputs }) => {
      const { cell, config: own } = cellOf(config);
      const [batch = null, time = null] = inputs[0]!;
      const step = stepShape(inputs[0]!);
      const [, ...output] = cell.output(own, step);
      const first: Shape = booleanAt(config, "return_sequences")
        ? [batch, time, ...output]
        : [batch, ...output];
      return booleanAt(config, "return_state") ? [first, ...cell.states(own, step)] : [first];
    },
    multiplyAdds: ({ config, inputs }) => {
      const { cell, config: own } = cellOf(config);
      return (inputs[0]![1] ?? 0) * cell.multiplyAdds(own, stepShape(inputs[0]!));
    },
    randomWith: (config) => drawsInTraining(cellOf(config).config),
    refusal: loopRefusal,
    masking: true,
    ...more,
  };
}

/** The input of one step: without the time axis. */
function stepShape([batch = null, , ...rest]: Shape): Shape {
  return [batch, ...rest];
}

function drawsInTraining(config: JsonObject): boolean {
  if (Array.isArray(config["cells"])) {
    return nestedCells(config).some((cell) => drawsInTraining(cell.config));
  }
  return isPositive(config["dropout"]) || isPositive(config["recurrent_dropout"]);
}

function isPositive(rate: unknown): boolean {
  return typeof rate === "number" && rate > 0;
}

/** What no loop here does: state across batches, and time before the batch. */
export function loopRefusal(config: JsonObject): Refusal | undefined {
  if (config["stateful"] === true) {
    return {
      reason: "it is stateful: what it gives for a batch depends on the batch before",
      advice: "Rebuild the model with stateful=False and save again.",
    };
  }
  if (config["time_major"] === true) {
    return {
      reason: "it is time_major: its batch is not the first axis",
      advice: "Rebuild the model with time_major=False and save again.",
    };
  }
  return undefined;
}

function ofOwnArguments(cellName: string): (config: JsonObject) => LayerCell {
  return (config) => ({ cell: cellSpec(cellName), config });
}

function ofNestedCell(config: JsonObject): LayerCell {
  const { className, config: own } = nestedLayer(config, "cell");
  return { cell: cellSpec(className), config: own };
}

/** Keras 1 and early Keras 2 had no `reset_after`: the reset gate came before the product. */
function modernGru(config: JsonObject): JsonObject {
  return { reset_after: false, ...config };
}

const requireSteps = (call: CallShapes): void => requireRank(call.inputs[0]!, 3);

function ofRank3(spec: LayerSpec): LayerSpec {
  return {
    ...spec,
    outputShapes: (call) => {
      requireSteps(call);
      return spec.outputShapes(call);
    },
  };
}

const rnn = recurrentLayer("RNN", {}, ofNestedCell, {
  refusal: (config) => {
    if (typeof config["num_constants"] === "number" && config["num_constants"] > 0) {
      return {
        reason: "its cell is called with constants",
        advice: "Rebuild it from Keras's own cells, which take none, and save again.",
      };
    }
    const cell = nestedLayer(config, "cell");
    if (isKnownCell(cell)) return loopRefusal(config);
    return {
      reason: `its cell ${cell.className} is none of Keras's, and its code is not in the file`,
      advice: "Rebuild it from Keras's own cells and save again.",
    };
  },
});

export const recurrentSpecs: readonly LayerSpec[] = [
  ofRank3(recurrentLayer("SimpleRNN", cellDefaults, ofOwnArguments("SimpleRNNCell"))),
  ofRank3(recurrentLayer("LSTM", { ...gateDefaults, unit_forget_bias: true }, ofOwnArguments("LSTMCell"))),
  ofRank3(
    recurrentLayer("GRU", { ...gateDefaults, reset_after: true }, ofOwnArguments("GRUCell"), {
      modernize: modernGru,
    }),
  ),
  rnn,
  cellLayer("SimpleRNNCell", cellDefaults),
  cellLayer("LSTMCell", { ...gateDefaults, unit_forget_bias: true }),
  cellLayer("GRUCell", { ...gateDefaults, reset_after: true }, { modernize: modernGru }),
  cellLayer("StackedRNNCells", {}),
];

/** A cell called as a layer: one step, its states after it. */
function cellLayer(className: string, defaults: JsonObject, more: Partial<LayerSpec> = {}): LayerSpec {
  const cell = cellSpec(className);
  return {
    className,
    defaults,
    weights: ({ config, inputs }) => cell.weights(config, inputs[0]!),
    outputShapes: ({ config, inputs }) => [
      cell.output(config, inputs[0]!),
      ...cell.states(config, inputs[0]!),
    ],
    multiplyAdds: ({ config, inputs }) => cell.multiplyAdds(config, inputs[0]!),
    randomWith: drawsInTraining,
    ...more,
  };
}
