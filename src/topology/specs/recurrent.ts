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

/** Default arguments that every recurrent layer has besides those of its cell (`keras/src/layers/rnn/rnn.py`). */
export const loopDefaults: JsonObject = {
  return_sequences: false,
  return_state: false,
  go_backwards: false,
  stateful: false,
  unroll: false,
  zero_output_for_mask: false,
};

/** Matches the class of a layer that takes the steps of a sequence one after the other. */
export const recurrentClass: RegExp = /^(SimpleRNN|LSTM|GRU|RNN|ConvLSTM\dD|Bidirectional)$/;

/** Cell of a recurrent layer with its config. */
export interface LayerCell {
  readonly cell: CellSpec;
  readonly config: JsonObject;
}

/** Creates the spec of a layer that runs a cell over the steps of an input of shape `[batch, time, …]`. */
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
      return within("cell", own === config ? {} : own, cell.weights(own, stepShape(inputs[0])));
    },
    outputShapes: ({ config, inputs }) => {
      const { cell, config: own } = cellOf(config);
      const [batch = null, time = null] = inputs[0];
      const step = stepShape(inputs[0]);
      const [, ...output] = cell.output(own, step);
      const first: Shape = booleanAt(config, "return_sequences")
        ? [batch, time, ...output]
        : [batch, ...output];
      return booleanAt(config, "return_state") ? [first, ...cell.states(own, step)] : [first];
    },
    multiplyAdds: ({ config, inputs }) => {
      const { cell, config: own } = cellOf(config);
      return (inputs[0][1] ?? 0) * cell.multiplyAdds(own, stepShape(inputs[0]));
    },
    randomWith: (config) => drawsInTraining(cellOf(config).config),
    refusal: loopRefusal,
    masking: true,
    ...more,
  };
}

/** Returns the input shape of one step, which has no time axis. */
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

/** Returns the reason for which a recurrent layer cannot be computed: state across batches, or a time-major layout. */
export function loopRefusal(config: JsonObject): Refusal | undefined {
  if (config["stateful"] === true) {
    return {
      reason: "it is stateful: its output for a batch depends on the batch before",
      advice: "Rebuild the model with stateful=False and save it again.",
    };
  }
  if (config["time_major"] === true) {
    return {
      reason: "it is time_major: the batch is not its first axis",
      advice: "Rebuild the model with time_major=False and save it again.",
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

/**
 * Adds `reset_after=False`. Keras 1 and early Keras 2 had no such argument and applied the reset gate before the
 * product.
 */
function modernGru(config: JsonObject): JsonObject {
  return { reset_after: false, ...config };
}

const requireSteps = (call: CallShapes): void => requireRank(call.inputs[0], 3);

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
        advice: "Rebuild it from Keras's own cells, which take no constants, and save the model again.",
      };
    }
    const cell = nestedLayer(config, "cell");
    if (isKnownCell(cell)) return loopRefusal(config);
    return {
      reason: `its cell ${cell.className} is not one of Keras's, and its code is not in the file`,
      advice: "Rebuild it from Keras's own cells and save the model again.",
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

/** Creates the spec of a cell that is called as a layer, which returns the output and the states after one step. */
function cellLayer(className: string, defaults: JsonObject, more: Partial<LayerSpec> = {}): LayerSpec {
  const cell = cellSpec(className);
  return {
    className,
    defaults,
    weights: ({ config, inputs }) => cell.weights(config, inputs[0]),
    outputShapes: ({ config, inputs }) => [cell.output(config, inputs[0]), ...cell.states(config, inputs[0])],
    multiplyAdds: ({ config, inputs }) => cell.multiplyAdds(config, inputs[0]),
    randomWith: drawsInTraining,
    ...more,
  };
}
