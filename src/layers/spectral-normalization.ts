/** A layer whose kernel training holds to a spectral norm of 1 (`keras/src/layers/normalization/spectral_normalization.py`). */
import { nestedLayer } from "../topology/specs/recurrent-cells.ts";
import { unsupported } from "./config.ts";
import type { Kernel, KernelCall, KernelResult } from "./kernel.ts";
import { weightsBelow } from "./recurrent/cells.ts";
import { type KernelOf, runInside } from "./wrappers.ts";

/** `kernelOf` knows the kernel of the layer inside. */
export function spectralNormalizationKernels(kernelOf: KernelOf): Readonly<Record<string, Kernel>> {
  return { SpectralNormalization: (call) => spectralNormalization(call, kernelOf) };
}

/** The stored kernel is the normalized one. @throws {TopologyError} in training, which would normalize it before each step. */
function spectralNormalization(call: KernelCall, kernelOf: KernelOf): KernelResult {
  if (call.context.training) {
    throw unsupported(call.config, "SpectralNormalization in training", "Freeze it and what is before it.");
  }
  const layer = nestedLayer(call.config, "layer");
  return runInside(kernelOf, layer, { ...call, weights: weightsBelow(call.weights, "layer"), kwargs: {} });
}
