/** @file A sequence of layers inside a layer (`keras/src/layers/preprocessing/pipeline.py`). */
import type { tf } from "../engine/tf.ts";
import { specOf } from "../topology/layer-specs.ts";
import { nestedLayers, placesBelow } from "../topology/specs/recurrent-cells.ts";
import { givenMasks } from "./call-node.ts";
import type { Kernel, KernelCall, KernelResult } from "./kernel.ts";
import { weightsBelow } from "./recurrent/cells.ts";
import type { KernelOf } from "./wrappers.ts";
import { runInside } from "./wrappers.ts";

/** Returns the kernel of Pipeline. `kernelOf` finds the kernels of the layers inside. */
export function pipelineKernels(kernelOf: KernelOf): Readonly<Record<string, Kernel>> {
  return { Pipeline: (call) => pipeline(call, kernelOf) };
}

function pipeline(call: KernelCall, kernelOf: KernelOf): KernelResult {
  const layers = nestedLayers(call.config, "layers");
  const places = placesBelow("layers", layers);
  const state: Record<string, tf.Tensor> = {};
  let outputs = call.inputs;
  let masks = givenMasks(call.masks, call.kwargs["mask"]);
  layers.forEach((layer, index) => {
    const place = places[index]!;
    const result = runInside(kernelOf, layer, {
      ...call,
      inputs: outputs,
      masks,
      weights: weightsBelow(call.weights, place),
      args: [],
      kwargs: {},
    });
    const passed = specOf(layer.className)?.masking ? masks : result.outputs.map(() => undefined);
    outputs = result.outputs;
    masks = result.masks ?? passed;
    for (const [name, value] of Object.entries(result.state ?? {})) state[`${place}/${name}`] = value;
  });
  return { outputs, masks, ...(Object.keys(state).length > 0 && { state }) };
}
