/** `keras/src/layers/core/einsum_dense.py`. */
import { tf } from "../engine/tf.ts";
import { einsumTerms } from "../topology/specs/einsum-dense.ts";
import { activate } from "./activations.ts";
import { stringIn } from "./config.ts";
import { lowRankAdapted } from "./core.ts";
import type { Kernel, KernelCall } from "./kernel.ts";
import { einsum } from "./matrix-products.ts";

export const einsumDenseKernels: Readonly<Record<string, Kernel>> = { EinsumDense: einsumDense };

function einsumDense({ inputs, weights, config, context }: KernelCall): tf.Tensor {
  const x = inputs[0]!;
  const { input, kernel, output } = einsumTerms(stringIn(config, "equation"), x.rank);
  const adapted = lowRankAdapted(weights["kernel"]!, weights, config["lora_alpha"]);
  const product = einsum(`${input},${kernel}->${output}`, [x, adapted]);
  const bias = weights["bias"];
  return activate(bias ? tf.add(product, bias) : product, config["activation"], context.keras);
}
