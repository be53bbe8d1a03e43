/** @file A model inside a wrapper, as a layer. */
import type { tf } from "../engine/tf.ts";
import { innerModelClass, innerModelOf } from "../topology/dialects/inner-model.ts";
import { layerIn, refKey } from "../topology/layer-graph.ts";
import { specOf } from "../topology/layer-specs.ts";
import { innerCalls, innerPlaces } from "../topology/specs/inner-model.ts";
import type { Values } from "./call-node.ts";
import { callNode, tensorOf } from "./call-node.ts";
import type { Kernel, KernelCall, KernelResult } from "./kernel.ts";
import { weightsBelow } from "./recurrent/cells.ts";
import { type KernelOf, statisticsInside } from "./wrappers.ts";

/** Returns the kernel of models inside wrappers. `kernelOf` finds the kernels of their layers. */
export function innerModelKernels(kernelOf: KernelOf): Readonly<Record<string, Kernel>> {
  return { [innerModelClass]: (call) => innerModel(call, kernelOf) };
}

function innerModel(call: KernelCall, kernelOf: KernelOf): KernelResult {
  const { config, context, inputs } = call;
  const calls = innerCalls(
    specOf,
    config,
    inputs.map((input) => input.shape),
  );
  const places = innerPlaces(innerModelOf(config));
  const layers = new Map(calls.layers.map((layer) => [layer.path, layer]));
  const values: Values = { tensors: new Map(), masks: new Map() };
  const state: Record<string, tf.Tensor> = {};
  calls.inputs.forEach((ref, index) => {
    values.tensors.set(refKey(ref), inputs[index]!);
    const mask = call.masks[index];
    if (mask) values.masks.set(refKey(ref), mask);
  });
  for (const node of calls.nodes) {
    const layer = layerIn(layers, node.layer);
    if (layer.className === "InputLayer") continue;
    const place = places.get(layer.path);
    const weights = place ? weightsBelow({ ...call.weights, ...state }, place) : {};
    const inside = { ...context, statistics: statisticsInside(layer, context) };
    const result = callNode(kernelOf, node, layer, weights, values, inside);
    result.outputs.forEach((tensor, output) => {
      values.tensors.set(refKey({ node: node.index, output }), tensor);
    });
    result.masks?.forEach((mask, output) => {
      if (mask) values.masks.set(refKey({ node: node.index, output }), mask);
    });
    for (const [name, value] of Object.entries(result.state ?? {})) state[`${place}/${name}`] = value;
  }
  return {
    outputs: calls.outputs.map((ref) => tensorOf(values, ref)),
    masks: calls.outputs.map((ref) => values.masks.get(refKey(ref))),
    ...(Object.keys(state).length > 0 && { state }),
  };
}
