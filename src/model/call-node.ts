import { tf } from "../engine/tf.ts";
import { TopologyError } from "../errors.ts";
import type { KernelArgument, KernelContext, KernelResult } from "../layers/kernel.ts";
import { kernelOf } from "../layers/registry.ts";
import type { Argument, GraphLayer, GraphNode, TensorRef } from "../topology/layer-graph.ts";
import { refKey } from "../topology/layer-graph.ts";
import { specOf } from "../topology/layer-specs.ts";

/** Live tensors and masks of a run, by `refKey`. */
export interface Values {
  readonly tensors: Map<string, tf.Tensor>;
  readonly masks: Map<string, tf.Tensor>;
}

export function tensorOf(values: Values, ref: TensorRef): tf.Tensor {
  const tensor = values.tensors.get(refKey(ref));
  if (!tensor) throw new Error(`model: tensor ${refKey(ref)} is not there when it is read`);
  return tensor;
}

/** Runs one call of a layer. Its outputs belong to the caller. @throws {TopologyError} where no kernel knows the class. */
export function callNode(
  node: GraphNode,
  layer: GraphLayer,
  weights: Readonly<Record<string, tf.Tensor>>,
  values: Values,
  context: KernelContext,
): KernelResult {
  const kernel = kernelOf(layer.className);
  if (!kernel) {
    throw new TopologyError(
      `${layer.path}: ${layer.className} cannot be computed here: expected a known layer, got none of that class.`,
      "unsupported-layer",
    );
  }
  const inputs = node.inputs.map((ref) => tensorOf(values, ref));
  const masks = node.inputs.map((ref) => values.masks.get(refKey(ref)));
  const result = kernel({
    inputs,
    weights,
    config: layer.config,
    args: node.args.map((argument) => argumentOf(argument, values)),
    kwargs: Object.fromEntries(
      Object.entries(node.kwargs).map(([name, argument]) => [name, argumentOf(argument, values)]),
    ),
    masks,
    context,
  });
  const given = result instanceof tf.Tensor ? { outputs: [result] } : result;
  const borrowed = new Set([...inputs, ...Object.values(weights)]);
  const whole: KernelResult = {
    ...given,
    outputs: given.outputs.map((output) => (borrowed.has(output) ? output.clone() : output)),
  };
  if (whole.masks || !masks[0] || !specOf(layer.className)?.elementwise) return whole;
  return { ...whole, masks: whole.outputs.map(() => masks[0]) };
}

function argumentOf(argument: Argument, values: Values): KernelArgument {
  switch (argument.kind) {
    case "tensor":
      return tensorOf(values, argument.ref);
    case "value":
      return argument.value;
    case "list":
      return argument.items.map((item) => argumentOf(item, values));
    case "record":
      return Object.fromEntries(
        Object.entries(argument.entries).map(([name, entry]) => [name, argumentOf(entry, values)]),
      );
  }
}
