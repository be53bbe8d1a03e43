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
import type { Dropouts, Variants } from "./dropouts.ts";
import { dropouts, multiplied, overTime } from "./dropouts.ts";
import type { Projection, Recurrence } from "./recurrence.ts";
import { cellWith, formula, hasKnownFunctions, projected } from "./recurrence.ts";
import { stackOf } from "./stack.ts";
import type { WholeSequence } from "./whole-sequence.ts";
import { takenSteps } from "./whole-sequence.ts";

export type Weights = Readonly<Record<string, tf.Tensor>>;

type SingleState = readonly [tf.Tensor];

/** The states of an LSTM: h and c. */
export type HiddenAndCarry = readonly [tf.Tensor, tf.Tensor];

/**
 * Returns the cell of a class. Weights are named relative to it. @throws {TopologyError} for a cell that Keras does not
 * have.
 */
export function cellOf(cell: NestedLayer, weights: Weights, context: KernelContext): Cell {
  return cellWith(recurrenceOf(cell, weights, context));
}

function recurrenceOf(
  { className, config }: NestedLayer,
  weights: Weights,
  context: KernelContext,
): Recurrence {
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

function simpleCell(config: JsonObject, weights: Weights, context: KernelContext): Recurrence {
  const dropped = dropouts(config, context, 1);
  const kernel = weightIn(weights, "recurrent_kernel");
  const isBounded = activationName(config["activation"]) === "tanh";
  const projection = gateProjection(weightIn(weights, "kernel"), weights["bias"], dropped);
  return {
    name: formula("SimpleRNN", config, context),
    stateSizes: [numberAt(config, "units")],
    output: 0,
    isBounded,
    isRepeatable: hasKnownFunctions(config),
    projection,
    weights: [kernel],
    factors: dropped.stateFactors,
    step:
      ([recurrentKernel], factors) =>
      (prepared, [h]) => {
        const recurrent = dense(multiplied(h as tf.Tensor, factors)[0], recurrentKernel as tf.Tensor);
        const output = activate(tf.add(prepared, recurrent), config["activation"], context.keras);
        return { output, states: [output] };
      },
    ...byKernel(isBounded, dropped, {
      prepare: (x, timeAxis) => projected(projection, x, timeAxis),
      take: (steps, states) => takenSteps([simpleRnn(steps, (states as SingleState)[0], kernel)]),
    }),
  };
}

/** Returns a bounded cell's kernel for all steps, which no gate has dropout of its own for. */
function byKernel(
  isBounded: boolean,
  { gatesApart }: Dropouts,
  kernel: Pick<WholeSequence, "prepare" | "take">,
): Pick<Recurrence, "byKernel"> {
  return isBounded && !gatesApart ? { byKernel: { output: 0, isBounded, ...kernel } } : {};
}

function lstmCell(config: JsonObject, weights: Weights, context: KernelContext): Recurrence {
  const dropped = dropouts(config, context, 4);
  const [kernel, recurrentKernel] = [weightIn(weights, "kernel"), weightIn(weights, "recurrent_kernel")];
  const units = numberAt(config, "units");
  return {
    name: formula("LSTM", config, context),
    stateSizes: [units, units],
    output: 0,
    isBounded: isPlain(config),
    isRepeatable: hasKnownFunctions(config),
    projection: gateProjection(kernel, weights["bias"], dropped),
    weights: byGate(recurrentKernel, dropped.stateVariants),
    factors: dropped.stateFactors,
    step: (kernels, factors) => (prepared, states) => {
      const [h, c] = states as HiddenAndCarry;
      return lstmStep(tf.add(prepared, gatedBy(multiplied(h, factors), kernels)), c, config, context);
    },
    ...byKernel(isPlain(config), dropped, {
      prepare: (x, timeAxis = 1) => multiplied(x, dropped.inputFactors.of(overTime(x.shape, timeAxis)))[0],
      take: (steps, states) =>
        takenSteps(lstm(steps, states as HiddenAndCarry, kernel, recurrentKernel, weights["bias"])),
    }),
  };
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
function gruCell(config: JsonObject, weights: Weights, context: KernelContext): Recurrence {
  const dropped = dropouts(config, context, 3);
  const resetAfter = isTrueAt(config, "reset_after");
  const recurrentKernel = weightIn(weights, "recurrent_kernel");
  const units = numberAt(config, "units");
  const [inputBias, recurrentBias] =
    weights["bias"] && resetAfter ? tf.unstack(weights["bias"]) : [weights["bias"], undefined];
  const projection = gateProjection(weightIn(weights, "kernel"), inputBias, dropped);
  const shared = {
    stateSizes: [units],
    output: 0,
    isBounded: isPlain(config),
    isRepeatable: hasKnownFunctions(config),
    projection,
    factors: dropped.stateFactors,
  };
  const kernels = byGate(recurrentKernel, dropped.stateVariants);
  if (resetAfter) {
    return {
      ...shared,
      name: formula("GRU", config, context),
      weights: [...kernels, ...(recurrentBias ? [recurrentBias] : [])],
      step: (all, factors) => resetAfterStep(config, context, all, recurrentBias !== undefined, factors),
      ...byKernel(isPlain(config), dropped, {
        prepare: (x, timeAxis) => projected(projection, x, timeAxis),
        take: (steps, states) =>
          takenSteps([gru(steps, (states as SingleState)[0], recurrentKernel, recurrentBias)]),
      }),
    };
  }
  const columns = (from: number, count: number): tf.Tensor =>
    tf.slice(recurrentKernel, [0, from * units], [units, count * units]);
  return {
    ...shared,
    name: formula("GRU, reset before", config, context),
    weights: kernels.length > 1 ? kernels : [columns(0, 2), columns(2, 1)],
    step: (all, factors) => resetBeforeStep(config, context, all, factors),
  };
}

type StepOf = ReturnType<Recurrence["step"]>;

function resetAfterStep(
  config: JsonObject,
  context: KernelContext,
  weights: readonly tf.Tensor[],
  hasBias: boolean,
  factors: readonly tf.Tensor[],
): StepOf {
  const [kernels, bias] = hasBias ? [weights.slice(0, -1), weights.at(-1)] : [weights, undefined];
  return (prepared, [state]) => {
    const h = state as tf.Tensor;
    const inner = biased(gatedBy(multiplied(h, factors), kernels), bias);
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
  factors: readonly tf.Tensor[],
): StepOf {
  return (prepared, [state]) => {
    const h = state as tf.Tensor;
    const [xGates, xCandidate] = gatesAndCandidate(prepared);
    const [forUpdate, forReset, forCandidate = forUpdate] = multiplied(h, factors);
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
function stackedCells(config: JsonObject, weights: Weights, context: KernelContext): Recurrence {
  const nested = nestedCells(config);
  const places = cellPlaces(nested);
  const [first, ...others] = nested.map((cell, index) =>
    recurrenceOf(cell, weightsBelow(weights, places[index] ?? ""), context),
  );
  return stackOf(first as Recurrence, ...others);
}

/** Returns the product of inputs and the kernel of all gates, to which a bias is added. */
function gateProjection(
  kernel: tf.Tensor,
  bias: tf.Tensor | undefined,
  { inputFactors }: Dropouts,
): Projection {
  return {
    weights: bias ? [kernel, bias] : [kernel],
    factors: inputFactors,
    compute: (x, [ownKernel, ownBias], factors) =>
      biased(gated(multiplied(x, factors), ownKernel as tf.Tensor), ownBias),
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
