/** `keras/src/layers/core/einsum_dense.py`. */
import { tf } from "../engine/tf.ts";
import { type EinsumTerms, einsumTerms } from "../topology/specs/einsum-dense.ts";
import { activate } from "./activations.ts";
import { stringIn } from "./config.ts";
import { lowRankAdapted } from "./core.ts";
import type { Kernel, KernelCall } from "./kernel.ts";
import { einsum } from "./matrix-products.ts";
import { quantizedProduct } from "./quantization.ts";

export const einsumDenseKernels: Readonly<Record<string, Kernel>> = { EinsumDense: einsumDense };

function einsumDense(call: KernelCall): tf.Tensor {
  const { inputs, weights, config, context } = call;
  const x = inputs[0]!;
  const terms = einsumTerms(stringIn(config, "equation"), x.rank);
  const kernel = lowRankAdapted(call, "kernel");
  const multiplied = (value: tf.Tensor): tf.Tensor =>
    einsum(`${terms.input},${terms.kernel}->${terms.output}`, [value, kernel]);
  const product = weights["kernel_scale"] ? quantized(call, terms, multiplied) : multiplied(x);
  const bias = weights["bias"];
  return activate(bias ? tf.add(product, bias) : product, config["activation"], context.keras);
}

/** The input by its largest values over the axes that the product sums, and their scale along the axes of the output. */
function quantized(
  call: KernelCall,
  { input, output }: EinsumTerms,
  multiplied: (value: tf.Tensor) => tf.Tensor,
): tf.Tensor {
  const x = call.inputs[0]!;
  const summed = [...input].flatMap((letter, axis) => (output.includes(letter) ? [] : [axis]));
  const kept = [...output].filter((letter) => input.includes(letter));
  const size = (letter: string): number => x.shape[input.indexOf(letter)]!;
  return quantizedProduct(x, summed, call, multiplied, (given) => {
    const letters = [...input].filter((letter) => output.includes(letter));
    const order = kept.map((letter) => letters.indexOf(letter));
    const turned = tf.transpose(tf.squeeze(given, summed), order);
    return tf.reshape(
      turned,
      [...output].map((letter) => (input.includes(letter) ? size(letter) : 1)),
    );
  });
}
