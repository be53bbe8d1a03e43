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
import { keptMask } from "../regularization.ts";
import type { WholeSequence } from "./whole-sequence.ts";

export type Weights = Readonly<Record<string, tf.Tensor>>;

export interface CellStep {
  readonly output: tf.Tensor;
  readonly states: readonly tf.Tensor[];
}

type SingleState = readonly [tf.Tensor];

/** The states of an LSTM: h and c. */
export type HiddenAndCarry = readonly [tf.Tensor, tf.Tensor];

/** A cell with its weights. */
export interface Cell {
  /** The number of states. */
  readonly stateCount: number;
  /**
   * Computes the part of a step that does not depend on the states, for one step `[N, …]` or for a sequence `[N, T,
   * …]`.
   */
  readonly prepare: (x: tf.Tensor) => tf.Tensor;
  /** Returns zeros of the states' shapes for a prepared step. */
  readonly start: (prepared: tf.Tensor) => readonly tf.Tensor[];
  readonly step: (prepared: tf.Tensor, states: readonly tf.Tensor[]) => CellStep;
  /** Computes all steps at once, if there is an operation for that. */
  readonly whole?: WholeSequence;
}

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
  const prepare = (x: tf.Tensor): tf.Tensor =>
    biased(dense(dropped.inputs(x)[0], weightIn(weights, "kernel")), weights["bias"]);
  return {
    stateCount: 1,
    prepare,
    start: (prepared) => zeroStates(config, prepared, 1),
    step: (prepared, states) => {
      const [h] = states as SingleState;
      const recurrent = dense(dropped.states(h)[0], weightIn(weights, "recurrent_kernel"));
      const output = activate(tf.add(prepared, recurrent), config["activation"], context.keras);
      return { output, states: [output] };
    },
    ...(activationName(config["activation"]) === "tanh" &&
      !dropped.gatesApart && {
        whole: {
          prepare,
          take: (steps, states) => {
            const [h] = states as SingleState;
            return [simpleRnn(steps, h, weightIn(weights, "recurrent_kernel"))];
          },
        },
      }),
  };
}

function lstmCell(config: JsonObject, weights: Weights, context: KernelContext): Cell {
  const dropped = dropouts(config, context, 4);
  return {
    stateCount: 2,
    prepare: (x) => biased(gated(dropped.inputs(x), weightIn(weights, "kernel")), weights["bias"]),
    start: (prepared) => zeroStates(config, prepared, 2),
    step: (prepared, states) => {
      const [h, c] = states as HiddenAndCarry;
      const z = tf.add(prepared, gated(dropped.states(h), weightIn(weights, "recurrent_kernel")));
      return lstmStep(z, c, config, context);
    },
    ...(isPlain(config, dropped) && {
      whole: {
        prepare: (sequence) => dropped.inputs(sequence)[0],
        take: (steps, states) =>
          lstm(
            steps,
            states as HiddenAndCarry,
            weightIn(weights, "kernel"),
            weightIn(weights, "recurrent_kernel"),
            weights["bias"],
          ),
      },
    }),
  };
}

/**
 * Returns true if a gated cell can be computed for whole sequences: it has Keras's default functions, and no gate has
 * dropout of its own.
 */
function isPlain(config: JsonObject, { gatesApart }: Dropouts): boolean {
  const [activation, recurrent] = [config["activation"], config["recurrent_activation"]].map(activationName);
  return activation === "tanh" && recurrent === "sigmoid" && !gatesApart;
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
  const act = (x: tf.Tensor): tf.Tensor => activate(x, config["activation"], context.keras);
  const gate = (x: tf.Tensor): tf.Tensor => activate(x, config["recurrent_activation"], context.keras);
  const recurrentKernel = weightIn(weights, "recurrent_kernel");
  const units = numberAt(config, "units");
  const [inputBias, recurrentBias] =
    weights["bias"] && resetAfter ? tf.unstack(weights["bias"]) : [weights["bias"], undefined];
  const columns = (from: number, count: number): tf.Tensor =>
    tf.slice(recurrentKernel, [0, from * units], [units, count * units]);
  const prepare = (x: tf.Tensor): tf.Tensor =>
    biased(gated(dropped.inputs(x), weightIn(weights, "kernel")), inputBias);
  return {
    stateCount: 1,
    prepare,
    start: (prepared) => zeroStates(config, prepared, 1),
    step: (prepared, before) => {
      const [h] = before as SingleState;
      const [xz, xr, xh] = tf.split(prepared, 3, -1) as [tf.Tensor, tf.Tensor, tf.Tensor];
      const states = dropped.states(h);
      if (resetAfter) {
        const inner = biased(gated(states, recurrentKernel), recurrentBias);
        const [hz, hr, hh] = tf.split(inner, 3, -1) as [tf.Tensor, tf.Tensor, tf.Tensor];
        const candidate = act(tf.add(xh, tf.mul(gate(tf.add(xr, hr)), hh)));
        return mixed(gate(tf.add(xz, hz)), h, candidate);
      }
      const [forUpdate, forReset = forUpdate, forCandidate = forUpdate] = states;
      const inner = gated(states.length === 1 ? states : [forUpdate, forReset], columns(0, 2));
      const [hz, hr] = tf.split(inner, 2, -1) as [tf.Tensor, tf.Tensor];
      const reset = tf.mul(gate(tf.add(xr, hr)), forCandidate);
      const candidate = act(tf.add(xh, dense(reset, columns(2, 1))));
      return mixed(gate(tf.add(xz, hz)), h, candidate);
    },
    ...(isPlain(config, dropped) &&
      resetAfter && {
        whole: {
          prepare,
          take: (steps, states) => {
            const [h] = states as SingleState;
            return [gru(steps, h, recurrentKernel, recurrentBias)];
          },
        },
      }),
  };
}

/** Mixes the state and its candidate by the update gate. */
function mixed(update: tf.Tensor, state: tf.Tensor, candidate: tf.Tensor): CellStep {
  const output = tf.add(tf.mul(update, state), tf.mul(tf.sub(1, update), candidate));
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

function zeroStates(config: JsonObject, prepared: tf.Tensor, count: number): tf.Tensor[] {
  const shape = [sizeAt(prepared.shape, 0), numberAt(config, "units")];
  return Array.from({ length: count }, () => tf.zeros(shape));
}

/** Multiplies `x` by the kernels of all gates. If dropout made several variants, each gate has its own. */
function gated(variants: Variants, kernel: tf.Tensor): tf.Tensor {
  if (variants.length === 1) return dense(variants[0], kernel);
  const kernels = tf.split(kernel, variants.length, -1);
  return tf.concat(
    kernels.map((ofGate, gate) => dense(variants[gate] ?? variants[0], ofGate)),
    -1,
  );
}

/** An input or state in one variant for all gates, or in one for each gate. */
export type Variants = readonly [tf.Tensor, ...tf.Tensor[]];

export interface Dropouts {
  /** Returns the variants of the input of a step or of a sequence. */
  readonly inputs: (x: tf.Tensor) => Variants;
  readonly states: (h: tf.Tensor) => Variants;
  /** True if states are dropped, or inputs separately for each gate. */
  readonly gatesApart: boolean;
}

/**
 * Creates the dropout of a cell in training. Each sequence has one draw, the same at every step, and one for each gate
 * if Keras multiplies gate by gate (`dropout_rnn_cell.py`).
 */
export function dropouts(
  config: JsonObject,
  { training, random }: KernelContext,
  gates: number,
  everyGate = false,
): Dropouts {
  const rate = (name: string): number => (typeof config[name] === "number" ? Number(config[name]) : 0);
  const separate = everyGate || rate("recurrent_dropout") > 0 || config["implementation"] === 1;
  const variants = gates > 1 && separate ? gates : 1;
  const isActive = (share: number): boolean => training && share > 0 && share < 1;
  const dropping = (share: number, sequence: boolean): ((x: tf.Tensor) => Variants) => {
    if (!isActive(share)) return (x) => [x];
    const seeds = Array.from({ length: variants }, () => random.nextSeed());
    const factors = new Map<string, tf.Tensor[]>();
    return (x) => {
      const shape = x.shape.map((size, axis) => (sequence && axis === 1 && x.rank > 2 ? 1 : size));
      const key = shape.join();
      const drawn = factors.get(key) ?? seeds.map((seed) => tf.div(keptMask(shape, share, seed), 1 - share));
      factors.set(key, drawn);
      return drawn.map((factor) => tf.mul(x, factor)) as [tf.Tensor, ...tf.Tensor[]];
    };
  };
  return {
    gatesApart: isActive(rate("recurrent_dropout")) || (isActive(rate("dropout")) && variants > 1),
    inputs: dropping(rate("dropout"), true),
    states: dropping(rate("recurrent_dropout"), false),
  };
}
