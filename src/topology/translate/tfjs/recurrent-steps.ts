import type { Json, JsonObject } from "../../../checkpoint.ts";
import { type NestedLayer, nestedCells, nestedLayer } from "../../specs/recurrent-cells.ts";
import { cellActivation } from "./activation-steps.ts";
import { picked, refuse, type SourceLayer, type StepRule, type TfjsStep } from "./step.ts";
import { trainingArguments } from "./training-arguments.ts";

/** Arguments of a cell that are the same in tfjs-layers. */
const cellKeys = ["units", "use_bias", "dropout", "recurrent_dropout"];
/** Arguments of the loop over time that are the same in tfjs-layers. */
const loopKeys = ["return_sequences", "return_state", "go_backwards"];

function cellConfig(layer: SourceLayer, className: string, config: JsonObject): JsonObject {
  if (config["reset_after"] === true)
    refuse(layer, "does not support reset_after, the default of GRU in Keras");
  const gates = className.startsWith("SimpleRNN")
    ? {}
    : { recurrent_activation: cellActivation(layer, config["recurrent_activation"] ?? "sigmoid") };
  return {
    ...picked(config, cellKeys),
    ...(className.startsWith("GRU") && { reset_after: false }),
    ...(className.startsWith("LSTM") && picked(config, ["unit_forget_bias"])),
    activation: cellActivation(layer, config["activation"] ?? "tanh"),
    ...gates,
    ...trainingArguments(config, "kernel", "recurrent", "bias"),
  };
}

function loopConfig(layer: SourceLayer, config: JsonObject): JsonObject {
  if (config["stateful"] === true) refuse(layer, "does not reliably keep states across batches");
  if (config["zero_output_for_mask"] === true) refuse(layer, "does not support zero_output_for_mask");
  if (config["time_major"] === true) refuse(layer, "does not support time_major");
  return picked(config, loopKeys);
}

/** Translates a SimpleRNN, LSTM or GRU. */
function recurrent(layer: SourceLayer): TfjsStep {
  const { className, config } = layer;
  return {
    className,
    config: { ...loopConfig(layer, config), ...cellConfig(layer, className, config) },
    weighted: true,
  };
}

const knownCells: ReadonlySet<string> = new Set(["SimpleRNNCell", "LSTMCell", "GRUCell"]);

function cell(layer: SourceLayer, { className, config }: NestedLayer): JsonObject {
  if (!knownCells.has(className)) refuse(layer, `does not support the cell ${className}`);
  return { class_name: className, config: { name: nameOf(config), ...cellConfig(layer, className, config) } };
}

function loop(layer: SourceLayer): TfjsStep {
  const { config } = layer;
  const inner = nestedLayer(config, "cell");
  const json: Json =
    inner.className === "StackedRNNCells"
      ? {
          class_name: "StackedRNNCells",
          config: {
            name: nameOf(inner.config),
            cells: nestedCells(inner.config).map((one) => cell(layer, one)),
          },
        }
      : cell(layer, inner);
  if (inner.className === "StackedRNNCells" && config["return_state"] === true) {
    refuse(layer, "returns the states of stacked cells in another order");
  }
  return { className: "RNN", config: { ...loopConfig(layer, config), cell: json }, weighted: true };
}

function bidirectional(layer: SourceLayer): TfjsStep {
  const { config } = layer;
  const forward = nestedLayer(config, "layer");
  if (config["backward_layer"] != null && !mirrors(forward, nestedLayer(config, "backward_layer"))) {
    refuse(layer, "does not support a backward_layer that differs from the forward layer");
  }
  const inner = recurrentInside(layer, forward);
  return {
    className: "Bidirectional",
    config: { merge_mode: config["merge_mode"] ?? null, layer: inner },
    weighted: true,
  };
}

/** Returns whether the backward layer is the forward layer in reverse, which Keras writes if the user gave none. */
function mirrors(forward: NestedLayer, backward: NestedLayer): boolean {
  const essence = ({ className, config }: NestedLayer, flip: boolean): string => {
    const backwards = config["go_backwards"] === true;
    const keys = [...cellKeys, ...loopKeys, "activation", "recurrent_activation", "reset_after"];
    return JSON.stringify([
      className,
      { ...picked(config, keys), go_backwards: flip ? !backwards : backwards },
    ]);
  };
  return essence(forward, true) === essence(backward, false);
}

function recurrentInside(layer: SourceLayer, { className, config }: NestedLayer): JsonObject {
  if (!["SimpleRNN", "LSTM", "GRU"].includes(className)) refuse(layer, `cannot wrap a ${className}`);
  const step = recurrent({ ...layer, className, config });
  return { class_name: className, config: { name: nameOf(config), ...step.config } };
}

/** Returns the name of an inner layer, which is part of its weights' names. */
export function nameOf(config: JsonObject): string {
  return typeof config["name"] === "string" ? config["name"] : "layer";
}

function convLstm(layer: SourceLayer): TfjsStep {
  const { config } = layer;
  if (config["data_format"] === "channels_first")
    refuse(layer, 'does not support data_format "channels_first"');
  const own = {
    ...loopConfig(layer, config),
    ...picked(config, ["filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate"]),
    ...cellConfig(layer, "LSTM", config),
  };
  return { className: "ConvLSTM2D", config: own, weighted: true };
}

/** Rules for recurrent layers. */
export const recurrentSteps: readonly (readonly [string, StepRule])[] = [
  ["SimpleRNN", (layer) => [recurrent(layer)]],
  ["LSTM", (layer) => [recurrent(layer)]],
  ["GRU", (layer) => [recurrent(layer)]],
  ["RNN", (layer) => [loop(layer)]],
  ["Bidirectional", (layer) => [bidirectional(layer)]],
  ["ConvLSTM2D", (layer) => [convLstm(layer)]],
];
