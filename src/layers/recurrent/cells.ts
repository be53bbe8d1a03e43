/**
 * @file Single steps of recurrent layers (`keras/src/layers/rnn/simple_rnn.py`, `gru.py`, `lstm.py`,
 * `stacked_rnn_cells.py`).
 */
import type { JsonObject } from "../../checkpoint.ts";
import { biasAdd, dense, gru, lstm, simpleRnn } from "../../engine/operations.ts";
import { tf } from "../../engine/tf.ts";
import { sizeAt } from "../../tensor.ts";
import { isTrueAt, numberAt } from "../../topology/config-values.ts";
import type { NestedLayer } from "../../topology/specs/recurrent-cells.ts";
import { cellPlaces, nestedCells } from "../../topology/specs/recurrent-cells.ts";
import { activationName } from "../activation-functions.ts";
import { activate } from "../activations.ts";
import type { KernelContext } from "../kernel.ts";
import { unsupported, weightIn } from "../kernel.ts";
import type { Cell, CellStep } from "./cell.ts";
import type { Variants } from "./dropouts.ts";
import { dropouts } from "./dropouts.ts";
import type { Recurrence } from "./recurrence.ts";
import { cellWith } from "./recurrence.ts";
import { takenSteps, wholeStack } from "./whole-sequence.ts";

export type Weights = Readonly<Record<string, tf.Tensor>>;

type SingleState = readonly [tf.Tensor];

/** The states of an LSTM: h and c. */
export type HiddenAndCarry = readonly [tf.Tensor, tf.Tensor];

/**
 * Returns the cell of a class. Weights are named relative to it. @throws {TopologyError} for a cell that Keras does not
 * have.
 */
export function cellOf({ className, config }: NestedLayer, weights: Weights, context: KernelContext): Cell {
  switch (className) {
    case "SimpleRNNCell":
      return simpleCell(config, weights, context);
    case "LSTMCell":
      return lstmCell(config, weights, context);
    case "GRUCell":
      return gruCell(config, weights, context);
    case "StackedRNNCells":
      return stackedCells(config, weights, context);
    default:
      throw unsupported(`a cell ${className}`, "Rebuild it from Keras's own cells and save again.");
  }
}

/** Returns the weights below a path, named relative to it. */
export function weightsBelow(weights: Weights, place: string): Weights {
  return Object.fromEntries(
    Object.entries(weights).flatMap(([name, tensor]) =>
      name.startsWith(`${place}/`) ? [[name.slice(place.length + 1), tensor]] : [],
    ),
  );
}

function simpleCell(config: JsonObject, weights: Weights, context: KernelContext): Cell {
  const dropped = dropouts(config, context, 1);
  const kernel = weightIn(weights, "recurrent_kernel");
  return cellWith(config, context, {
    name: "SimpleRNN",
    stateCount: 1,
    isBounded: activationName(config["activation"]) === "tanh",
    dropped,
    prepare: (x, timeAxis) =>
      biased(dense(dropped.inputs(x, timeAxis)[0], weightIn(weights, "kernel")), weights["bias"]),
    weights: [kernel],
    step:
      ([recurrentKernel], states) =>
      (prepared, [h]) => {
        const recurrent = dense(states(h as tf.Tensor)[0], recurrentKernel as tf.Tensor);
        const output = activate(tf.add(prepared, recurrent), config["activation"], context.keras);
        return { output, states: [output] };
      },
    kernel: { take: (steps, states) => takenSteps([simpleRnn(steps, (states as SingleState)[0], kernel)]) },
  });
}

function lstmCell(config: JsonObject, weights: Weights, context: KernelContext): Cell {
  const dropped = dropouts(config, context, 4);
  const [kernel, recurrentKernel] = [weightIn(weights, "kernel"), weightIn(weights, "recurrent_kernel")];
  return cellWith(config, context, {
    name: "LSTM",
    stateCount: 2,
    isBounded: isPlain(config),
    dropped,
    prepare: (x, timeAxis) => biased(gated(dropped.inputs(x, timeAxis), kernel), weights["bias"]),
    weights: byGate(recurrentKernel, dropped.stateVariants),
    step: (kernels, drop) => (prepared, states) => {
      const [h, c] = states as HiddenAndCarry;
      return lstmStep(tf.add(prepared, gatedBy(drop(h), kernels)), c, config, context);
    },
    kernel: {
      prepare: (x, timeAxis) => dropped.inputs(x, timeAxis)[0],
      take: (steps, states) =>
        takenSteps(lstm(steps, states as HiddenAndCarry, kernel, recurrentKernel, weights["bias"])),
    },
  });
}

/** Returns true if a gated cell has Keras's default functions, by which its states stay bounded. */
function isPlain(config: JsonObject): boolean {
  const [activation, recurrent] = [config["activation"], config["recurrent_activation"]].map(activationName);
  return activation === "tanh" && recurrent === "sigmoid";
}

/** Computes a step from the gates `[…, 4 units]` in Keras's order: input, forget, candidate, output. */
export function lstmStep(z: tf.Tensor, c: tf.Tensor, config: JsonObject, context: KernelContext): CellStep {
  const act = (x: tf.Tensor): tf.Tensor => activate(x, config["activation"], context.keras);
  const gate = (x: tf.Tensor): tf.Tensor => activate(x, config["recurrent_activation"], context.keras);
  const [i, f, candidate, o] = tf.split(z, 4, z.rank - 1) as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
  const carry = tf.add(tf.mul(gate(f), c), tf.mul(gate(i), act(candidate)));
  const output = tf.mul(gate(o), act(carry));
  return { output, states: [output, carry] };
}

/**
 * Creates a GRU cell. With `reset_after`, the reset gate is applied to the product with the state, which has its own
 * bias.
 */
function gruCell(config: JsonObject, weights: Weights, context: KernelContext): Cell {
  const dropped = dropouts(config, context, 3);
  const resetAfter = isTrueAt(config, "reset_after");
  const recurrentKernel = weightIn(weights, "recurrent_kernel");
  const units = numberAt(config, "units");
  const [inputBias, recurrentBias] =
    weights["bias"] && resetAfter ? tf.unstack(weights["bias"]) : [weights["bias"], undefined];
  const shared = {
    stateCount: 1,
    isBounded: isPlain(config),
    dropped,
    prepare: (x: tf.Tensor, timeAxis?: number): tf.Tensor =>
      biased(gated(dropped.inputs(x, timeAxis), weightIn(weights, "kernel")), inputBias),
  };
  const kernels = byGate(recurrentKernel, dropped.stateVariants);
  if (resetAfter) {
    return cellWith(config, context, {
      ...shared,
      name: "GRU",
      weights: [...kernels, ...(recurrentBias ? [recurrentBias] : [])],
      step: (all, drop) => resetAfterStep(config, context, all, recurrentBias !== undefined, drop),
      kernel: {
        take: (steps, states) =>
          takenSteps([gru(steps, (states as SingleState)[0], recurrentKernel, recurrentBias)]),
      },
    });
  }
  const columns = (from: number, count: number): tf.Tensor =>
    tf.slice(recurrentKernel, [0, from * units], [units, count * units]);
  return cellWith(config, context, {
    ...shared,
    name: "GRU, reset before",
    weights: kernels.length > 1 ? kernels : [columns(0, 2), columns(2, 1)],
    step: (all, drop) => resetBeforeStep(config, context, all, drop),
  });
}

type StepOf = ReturnType<Recurrence["step"]>;

function resetAfterStep(
  config: JsonObject,
  context: KernelContext,
  weights: readonly tf.Tensor[],
  hasBias: boolean,
  drop: (h: tf.Tensor) => Variants,
): StepOf {
  const [kernels, bias] = hasBias ? [weights.slice(0, -1), weights.at(-1)] : [weights, undefined];
  return (prepared, [state]) => {
    const h = state as tf.Tensor;
    const inner = biased(gatedBy(drop(h), kernels), bias);
    const [xGates, xCandidate] = gatesAndCandidate(prepared);
    const [hGates, hCandidate] = gatesAndCandidate(inner);
    const [update, reset] = bothGates(tf.add(xGates, hGates), config, context);
    const sum = tf.add(xCandidate, tf.mul(reset, hCandidate));
    return mixed(update, h, activate(sum, config["activation"], context.keras));
  };
}

function resetBeforeStep(
  config: JsonObject,
  context: KernelContext,
  kernels: readonly tf.Tensor[],
  drop: (h: tf.Tensor) => Variants,
): StepOf {
  return (prepared, [state]) => {
    const h = state as tf.Tensor;
    const [xGates, xCandidate] = gatesAndCandidate(prepared);
    const [forUpdate, forReset, forCandidate = forUpdate] = drop(h);
    const inner = gatedBy(forReset ? [forUpdate, forReset] : [forUpdate], kernels.slice(0, -1));
    const [update, reset] = bothGates(tf.add(xGates, inner), config, context);
    const recurrent = dense(tf.mul(reset, forCandidate), kernels.at(-1) as tf.Tensor);
    return mixed(update, h, activate(tf.add(xCandidate, recurrent), config["activation"], context.keras));
  };
}

/** Splits `[N, 3 U]` into the two gates' part and the candidate's. */
function gatesAndCandidate(x: tf.Tensor): [tf.Tensor, tf.Tensor] {
  const units = sizeAt(x.shape, -1) / 3;
  return tf.split(x, [2 * units, units], -1) as [tf.Tensor, tf.Tensor];
}

/** Returns the update gate and the reset gate from what is activated, `[N, 2 U]`. */
function bothGates(x: tf.Tensor, config: JsonObject, context: KernelContext): [tf.Tensor, tf.Tensor] {
  const gate = (each: tf.Tensor): tf.Tensor => activate(each, config["recurrent_activation"], context.keras);
  // A sigmoid of both at once saves an operation; other functions may look across a gate's units.
  if (activationName(config["recurrent_activation"]) === "sigmoid")
    return tf.split(gate(x), 2, -1) as [tf.Tensor, tf.Tensor];
  return tf.split(x, 2, -1).map(gate) as [tf.Tensor, tf.Tensor];
}

/** Mixes the state and its candidate by the update gate, in an operation less than Keras's sum of two products. */
function mixed(update: tf.Tensor, state: tf.Tensor, candidate: tf.Tensor): CellStep {
  const output = tf.add(candidate, tf.mul(update, tf.sub(state, candidate)));
  return { output, states: [output] };
}

/** Creates a stack of cells, each of which reads the output of the one before. */
function stackedCells(config: JsonObject, weights: Weights, context: KernelContext): Cell {
  const nested = nestedCells(config);
  const places = cellPlaces(nested);
  const stack = nested.map((cell, index) =>
    cellOf(cell, weightsBelow(weights, places[index] ?? ""), context),
  );
  const [first, ...rest] = stack as [Cell, ...Cell[]];
  return {
    stateCount: stack.reduce((sum, cell) => sum + cell.stateCount, 0),
    prepare: first.prepare,
    start: (prepared) => stack.flatMap((cell) => cell.start(prepared)),
    ...wholeStack(stack),
    step: (prepared, states) => {
      const all = [...states];
      let { output, states: next } = first.step(prepared, all.splice(0, first.stateCount));
      for (const cell of rest) {
        const step = cell.step(cell.prepare(output), all.splice(0, cell.stateCount));
        output = step.output;
        next = [...next, ...step.states];
      }
      return { output, states: next };
    },
  };
}

function biased(x: tf.Tensor, bias: tf.Tensor | undefined): tf.Tensor {
  return bias ? biasAdd(x, bias) : x;
}

/** Splits a kernel into those of its gates if the states have a variant for each gate. */
function byGate(kernel: tf.Tensor, variants: number): readonly tf.Tensor[] {
  return variants === 1 ? [kernel] : tf.split(kernel, variants, -1);
}

/** Multiplies `x` by the kernel of all gates. If dropout made several variants, each gate has its own. */
function gated(variants: Variants, kernel: tf.Tensor): tf.Tensor {
  return gatedBy(variants, byGate(kernel, variants.length));
}

function gatedBy(variants: Variants, kernels: readonly tf.Tensor[]): tf.Tensor {
  const products = kernels.map((kernel, gate) => dense(variants[gate] ?? variants[0], kernel));
  return products.length === 1 ? (products[0] as tf.Tensor) : tf.concat(products, -1);
}
