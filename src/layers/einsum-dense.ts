/** @file EinsumDense (`keras/src/layers/core/einsum_dense.py`). */
import { tf } from "../engine/tf.ts";
import { sizeAt } from "../tensor.ts";
import { stringAt } from "../topology/config-values.ts";
import type { EinsumTerms } from "../topology/specs/einsum-dense.ts";
import { einsumTerms, kernelShapeOf } from "../topology/specs/einsum-dense.ts";
import { quantizationOf } from "../topology/specs/quantization.ts";
import { activate } from "./activations.ts";
import { biasOf, lowRankAdapted } from "./core.ts";
import type { Kernel, KernelCall } from "./kernel.ts";
import { firstInput } from "./kernel.ts";
import { einsum } from "./ops/matrix-products.ts";
import { quantizedProduct } from "./quantization.ts";

export const einsumDenseKernels: Readonly<Record<string, Kernel>> = { EinsumDense: einsumDense };

function einsumDense(call: KernelCall): tf.Tensor {
  const { inputs, config, context } = call;
  const x = firstInput(inputs);
  const terms = einsumTerms(stringAt(config, "equation"), x.rank);
  const multiply: Multiply = (value, kernel) =>
    einsum(`${terms.input},${terms.kernel}->${terms.output}`, [value, kernel]);
  const product = quantizationOf(config)
    ? quantized(call, terms, multiply)
    : multiply(x, lowRankAdapted(call, "kernel"));
  const bias = biasOf(call);
  return activate(bias ? tf.add(product, bias) : product, config["activation"], context.keras);
}

type Multiply = (x: tf.Tensor, kernel: tf.Tensor) => tf.Tensor;

/**
 * Computes the product with a quantized kernel. The input is scaled by its maxima over the axes that the product sums.
 */
function quantized(call: KernelCall, { input, output }: EinsumTerms, multiply: Multiply): tf.Tensor {
  const x = firstInput(call.inputs);
  const axes = [...input].flatMap((letter, axis) => (output.includes(letter) ? [] : [axis]));
  const kept = [...output].filter((letter) => input.includes(letter));
  const size = (letter: string): number => sizeAt(x.shape, input.indexOf(letter));
  const aligned = (given: tf.Tensor): tf.Tensor => {
    const letters = [...input].filter((letter) => output.includes(letter));
    const order = kept.map((letter) => letters.indexOf(letter));
    const turned = tf.transpose(tf.squeeze(given, axes), order);
    return tf.reshape(
      turned,
      [...output].map((letter) => (input.includes(letter) ? size(letter) : 1)),
    );
  };
  return quantizedProduct(call, {
    axes,
    kernelShape: kernelShapeOf(call.config, x.shape),
    multiply,
    aligned,
  });
}
