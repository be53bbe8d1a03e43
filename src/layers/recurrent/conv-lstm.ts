/** @file LSTM whose products are convolutions (`keras/src/layers/rnn/conv_lstm.py`). */
import { tf } from "../../engine/tf.ts";
import { isTrueAt, numberAt, numbersAt, stringAt } from "../../topology/config-values.ts";
import { isChannelsFirst } from "../axes.ts";
import { convolve } from "../convolution.ts";
import type { KernelCall } from "../kernel.ts";
import { firstInput, weightIn } from "../kernel.ts";
import type { Cell } from "./cell.ts";
import type { HiddenAndCarry } from "./cells.ts";
import { lstmStep, weightsBelow } from "./cells.ts";
import { dropouts } from "./dropouts.ts";

/** Creates the cell of a ConvLSTM layer over `rank` spatial axes. Inside it, channels are last. */
export function convLstmCell(rank: 1 | 2 | 3): (call: KernelCall) => Cell {
  return ({ config, weights: all, context }) => {
    const weights = weightsBelow(all, "cell");
    const dropped = dropouts(config, context, 4, true);
    const window = {
      strides: numbersAt(config, "strides", rank),
      dilation: numbersAt(config, "dilation_rate", rank),
      padding: stringAt(config, "padding") === "same" ? ("same" as const) : ("valid" as const),
    };
    const ones = numbersAt({ one: 1 }, "one", rank);
    const still = { strides: ones, dilation: ones, padding: "same" as const };
    const filters = numberAt(config, "filters");
    const turned = (x: tf.Tensor, lead: number): tf.Tensor =>
      isChannelsFirst(config) ? channelsToEnd(x, lead) : x;
    const back = (x: tf.Tensor): tf.Tensor => (isChannelsFirst(config) ? channelsToFront(x) : x);
    const gated = (variants: readonly tf.Tensor[], kernel: tf.Tensor, how: typeof window): tf.Tensor => {
      const kernels = variants.length === 1 ? [kernel] : tf.split(kernel, variants.length, kernel.rank - 1);
      const convolved = kernels.map((ofGate, gate) => convolve(variants[gate] as tf.Tensor, ofGate, how));
      return convolved.length === 1 ? firstInput(convolved) : tf.concat(convolved, -1);
    };
    return {
      stateCount: 2,
      prepare: (sequence) => {
        const [batch, time] = sequence.shape as [number, number];
        const flat = dropped
          .inputs(sequence)
          .map((x) => turned(x, 2))
          .map((x) => tf.reshape(x, [batch * time, ...x.shape.slice(2)]));
        const convolved = gated(flat, weightIn(weights, "kernel"), window);
        const biased = isTrueAt(config, "use_bias")
          ? tf.add(convolved, weightIn(weights, "bias"))
          : convolved;
        return tf.reshape(biased, [batch, time, ...biased.shape.slice(1)]);
      },
      start: (prepared) => {
        const zeros = back(tf.zeros([...prepared.shape.slice(0, -1), filters]));
        return [zeros, zeros];
      },
      step: (prepared, before) => {
        const [h, c] = before as HiddenAndCarry;
        const variants = dropped.states(h).map((x) => turned(x, 1));
        const z = tf.add(prepared, gated(variants, weightIn(weights, "recurrent_kernel"), still));
        const { output, states } = lstmStep(z, turned(c, 1), config, context);
        return isChannelsFirst(config)
          ? { output: back(output), states: states.map(back) }
          : { output, states };
      },
    };
  };
}

/** Moves the axis behind `lead` others to the end. */
function channelsToEnd(x: tf.Tensor, lead: number): tf.Tensor {
  const axes = x.shape.map((_, axis) => axis);
  return tf.transpose(x, [...axes.slice(0, lead), ...axes.slice(lead + 1), lead]);
}

function channelsToFront(x: tf.Tensor): tf.Tensor {
  const axes = x.shape.map((_, axis) => axis);
  return tf.transpose(x, [0, x.rank - 1, ...axes.slice(1, -1)]);
}
