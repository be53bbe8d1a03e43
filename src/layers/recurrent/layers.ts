/** @file Recurrent layers (`keras/src/layers/rnn`). */
import { tf } from "../../engine/tf.ts";
import { TopologyError } from "../../errors.ts";
import { isTrueAt } from "../../topology/config-values.ts";
import { nestedLayer } from "../../topology/specs/recurrent-cells.ts";
import type { Kernel, KernelArgument, KernelCall, KernelResult } from "../kernel.ts";
import { firstInput } from "../kernel.ts";
import type { Cell } from "./cell.ts";
import { cellOf, weightsBelow } from "./cells.ts";
import { convLstmCell } from "./conv-lstm.ts";
import type { HiddenOutput } from "./loop.ts";
import { walk } from "./loop.ts";

type CellOfCall = (call: KernelCall) => Cell;

export const recurrentKernels: Readonly<Record<string, Kernel>> = {
  SimpleRNN: recurrent(ownCell("SimpleRNNCell")),
  LSTM: recurrent(ownCell("LSTMCell")),
  GRU: recurrent(ownCell("GRUCell")),
  RNN: recurrent(({ config, weights, context }) =>
    cellOf(nestedLayer(config, "cell"), weightsBelow(weights, "cell"), context),
  ),
  ConvLSTM1D: recurrent(convLstmCell(1)),
  ConvLSTM2D: recurrent(convLstmCell(2)),
  ConvLSTM3D: recurrent(convLstmCell(3)),
  SimpleRNNCell: oneStep("SimpleRNNCell"),
  LSTMCell: oneStep("LSTMCell"),
  GRUCell: oneStep("GRUCell"),
  StackedRNNCells: oneStep("StackedRNNCells"),
};

function ownCell(className: string): CellOfCall {
  return ({ config, weights, context }) =>
    cellOf({ className, config }, weightsBelow(weights, "cell"), context);
}

function recurrent(cellOfCall: CellOfCall): Kernel {
  return (call) => {
    const { inputs, config } = call;
    const cell = cellOfCall(call);
    const mask = stepMask(call);
    const { last, outputs, states } = walk(cell, firstInput(inputs), givenStates(call, cell), {
      backwards: isTrueAt(config, "go_backwards"),
      mask,
      hidden: hiddenOutput(call),
      stepByStep: call.context.isTraced ?? false,
    });
    const sequences = isTrueAt(config, "return_sequences");
    const first = sequences ? outputs() : last;
    const passed = sequences ? (mask ?? call.masks[0]) : undefined;
    return isTrueAt(config, "return_state")
      ? withStates(first, passed, states())
      : { outputs: [first], masks: [passed] };
  };
}

function withStates(
  output: tf.Tensor,
  mask: tf.Tensor | undefined,
  states: readonly tf.Tensor[],
): KernelResult {
  return { outputs: [output, ...states], masks: [mask, ...states.map(() => undefined)] };
}

/** Creates the kernel of a cell that is called as a layer, with its states as the second argument. */
function oneStep(className: string): Kernel {
  return (call): KernelResult => {
    const cell = cellOf({ className, config: call.config }, call.weights, call.context);
    const { output, states } = cell.step(cell.prepare(firstInput(call.inputs)), givenStates(call, cell));
    return { outputs: [output, ...states] };
  };
}

/**
 * Returns the mask of the first tensor. In Keras 3, a call with states has no mask unless one is given (`layer.py`,
 * `__call__`).
 */
export function stepMask({ kwargs, masks, args, context }: KernelCall): tf.Tensor | undefined {
  const given = flatTensors(kwargs["mask"])[0] ?? flatTensors(args[2])[0];
  if (given) return given;
  return context.keras === 3 && statesOf({ args, kwargs }).length > 0 ? undefined : masks[0];
}

function hiddenOutput({ config, context }: KernelCall): HiddenOutput {
  if (isTrueAt(config, "zero_output_for_mask")) return "zeros";
  return context.keras < 3 && !("time_major" in config) && !isTrueAt(config, "unroll") ? "state" : "previous";
}

/** Returns the initial states of a call, none if it has none. @throws {TopologyError} for a wrong number of states. */
function givenStates(call: KernelCall, cell: Cell): readonly tf.Tensor[] {
  const states = statesOf(call);
  if (states.length === 0 || states.length === cell.stateCount) return states;
  throw new TopologyError(
    `initial_state: expected ${cell.stateCount} tensors, got ${states.length}.`,
    "shape",
  );
}

/** Returns the states of a call, given by name, by position, or after the sequence in Keras 2's list of inputs. */
export function statesOf({ args, kwargs }: Pick<KernelCall, "args" | "kwargs">): readonly tf.Tensor[] {
  const named = flatTensors(kwargs["initial_state"] ?? kwargs["states"]);
  if (named.length > 0) return named;
  const [first, second] = args;
  return [...(Array.isArray(first) ? flatTensors(first).slice(1) : []), ...flatTensors(second)];
}

function flatTensors(argument: KernelArgument | undefined): readonly tf.Tensor[] {
  if (argument instanceof tf.Tensor) return [argument];
  return Array.isArray(argument) ? argument.flatMap(flatTensors) : [];
}
