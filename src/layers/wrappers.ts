/** @file Layers around another layer (`keras/src/layers/rnn/bidirectional.py`, `time_distributed.py`). */
import { tf } from "../engine/tf.ts";
import { TopologyError } from "../errors.ts";
import { isTrueAt } from "../topology/config-values.ts";
import type { NestedLayer } from "../topology/specs/recurrent-cells.ts";
import { nestedLayer } from "../topology/specs/recurrent-cells.ts";
import { directions } from "../topology/specs/wrappers.ts";
import type { Kernel, KernelCall, KernelContext, KernelResult } from "./kernel.ts";
import { firstInput, unsupported } from "./kernel.ts";
import { weightsBelow } from "./recurrent/cells.ts";
import { statesOf, stepMask } from "./recurrent/layers.ts";

export type KernelOf = (className: string) => Kernel | undefined;

/** Returns the kernels of wrappers. `kernelOf` finds the kernels of the layers inside. */
export function wrapperKernels(kernelOf: KernelOf): Readonly<Record<string, Kernel>> {
  return {
    Bidirectional: (call) => bidirectional(call, kernelOf),
    TimeDistributed: (call) => timeDistributed(call, kernelOf),
  };
}

function bidirectional(call: KernelCall, kernelOf: KernelOf): KernelResult {
  const { config } = call;
  const { forward, backward } = directions(config);
  const states = statesOf(call);
  const half = states.length / 2;
  const mask = stepMask(call);
  const run = (layer: NestedLayer, place: string, initial: readonly tf.Tensor[]): KernelResult =>
    runInside(kernelOf, withZerosWhereHidden(layer, call), {
      ...call,
      weights: weightsBelow(call.weights, place),
      inputs: [firstInput(call.inputs)],
      masks: [mask],
      args: [],
      kwargs: initial.length > 0 ? { initial_state: initial, mask: mask ?? null } : {},
    });
  const one = run(forward, "forward_layer", states.slice(0, half));
  const other = run(backward, "backward_layer", states.slice(half));
  const sequences = isTrueAt(forward.config, "return_sequences");
  const y = firstOutput(one);
  const reversed = sequences ? tf.reverse(firstOutput(other), 1) : firstOutput(other);
  const outputs = merged(y, reversed, config["merge_mode"]);
  const after = isTrueAt(forward.config, "return_state")
    ? [...one.outputs.slice(1), ...other.outputs.slice(1)]
    : [];
  const passed = sequences ? (mask ?? call.masks[0]) : undefined;
  return {
    outputs: [...outputs, ...after],
    masks: [...outputs.map(() => passed), ...after.map(() => undefined)],
  };
}

/** Sets `zero_output_for_mask` as Bidirectional does for both of its layers since Keras 2.3. */
function withZerosWhereHidden({ className, config }: NestedLayer, { context }: KernelCall): NestedLayer {
  if (context.keras < 3 && !("time_major" in config)) return { className, config };
  return { className, config: { ...config, zero_output_for_mask: isTrueAt(config, "return_sequences") } };
}

function merged(y: tf.Tensor, reversed: tf.Tensor, mode: unknown): tf.Tensor[] {
  switch (mode) {
    case null:
      return [y, reversed];
    case "sum":
      return [tf.add(y, reversed)];
    case "mul":
      return [tf.mul(y, reversed)];
    case "ave":
      return [tf.div(tf.add(y, reversed), 2)];
    default:
      return [tf.concat([y, reversed], -1)];
  }
}

/**
 * Runs the layer inside on all steps at once, as samples of one batch; or step by step if it couples the samples of a
 * batch. Keras 3 passes its own mask on, Keras 2 that of the layer inside, which receives none before 2.2.
 */
function timeDistributed(call: KernelCall, kernelOf: KernelOf): KernelResult {
  const layer = nestedLayer(call.config, "layer");
  const x = firstInput(call.inputs);
  const [batch, time, ...rest] = x.shape as [number, number, ...number[]];
  const given = call.kwargs["mask"];
  const mask = given instanceof tf.Tensor ? given : call.masks[0];
  const inner: KernelCall = { ...call, weights: weightsBelow(call.weights, "layer"), args: [], kwargs: {} };
  if (call.context.keras === 3 && call.context.statistics === "batch") {
    return stepByStep(kernelOf, layer, inner, mask);
  }
  const isOutside = call.config["masks_inside"] === false;
  const innerMask = isOutside ? undefined : mask && tf.reshape(mask, [batch * time, ...mask.shape.slice(2)]);
  const result = runInside(kernelOf, layer, {
    ...inner,
    inputs: [tf.reshape(x, [batch * time, ...rest])],
    masks: [innerMask],
  });
  const { masks, state } = result;
  const unfolded = (y: tf.Tensor): tf.Tensor => tf.reshape(y, [batch, time, ...y.shape.slice(1)]);
  const made = masks ? masks[0] : innerMask;
  const passed =
    call.context.keras === 3 || isOutside ? mask : made ? unfolded(made) : mask && reducedToSteps(mask);
  return {
    outputs: [unfolded(firstOutput(result))],
    masks: [passed],
    ...(state && { state: placed(state) }),
  };
}

/** Returns the first output of the layer inside, which every layer has. */
function firstOutput({ outputs: [first] }: KernelResult): tf.Tensor {
  if (first) return first;
  throw new TopologyError("layer inside a wrapper: expected an output, got none.");
}

/** Reduces a mask to steps: those of which it shows anything. */
function reducedToSteps(mask: tf.Tensor): tf.Tensor {
  return mask.rank > 2
    ? tf.any(
        mask,
        mask.shape.slice(2).map((_, axis) => axis + 2),
      )
    : mask;
}

/** Runs the layer inside on each step with the statistics of that step's batch, which the next step continues. */
function stepByStep(
  kernelOf: KernelOf,
  layer: NestedLayer,
  inner: KernelCall,
  mask: tf.Tensor | undefined,
): KernelResult {
  const masks = mask && tf.unstack(mask, 1);
  let weights = inner.weights;
  let state: KernelResult["state"];
  const outputs = tf.unstack(firstInput(inner.inputs), 1).map((input, time) => {
    const result = runInside(kernelOf, layer, { ...inner, weights, inputs: [input], masks: [masks?.[time]] });
    if (result.state) {
      state = { ...state, ...result.state };
      weights = { ...weights, ...result.state };
    }
    return firstOutput(result);
  });
  return { outputs: [tf.stack(outputs, 1)], masks: [mask], ...(state && { state: placed(state) }) };
}

function placed(state: NonNullable<KernelResult["state"]>): NonNullable<KernelResult["state"]> {
  return Object.fromEntries(Object.entries(state).map(([name, value]) => [`layer/${name}`, value]));
}

/** Returns the statistics of a layer inside another: one that is frozen by its own flag uses its stored statistics. */
export function statisticsInside(
  { trainable }: { readonly trainable?: unknown },
  { statistics }: KernelContext,
): KernelContext["statistics"] {
  return trainable === false ? "stored" : statistics;
}

/** Runs a layer that another one holds. @throws {TopologyError} if it has no kernel. */
export function runInside(
  kernelOf: KernelOf,
  { className, config }: NestedLayer,
  call: Omit<KernelCall, "config">,
): KernelResult {
  const kernel = kernelOf(className);
  if (!kernel) throw unsupported(`a layer ${className} inside another`, "Rebuild it and save again.");
  const context = { ...call.context, statistics: statisticsInside(config, call.context) };
  const result = kernel({ ...call, config, context });
  return result instanceof tf.Tensor ? { outputs: [result] } : result;
}
