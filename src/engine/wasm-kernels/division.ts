/**
 * @file The choice of the kernels that are divided between threads: waking the others costs more than a small kernel
 * takes.
 */
import { sizeAt } from "../../tensor.ts";
import { tf } from "../tf.ts";
import type { KernelCall } from "./replace-kernel.ts";
import { wrap } from "./replace-kernel.ts";

/** The number of multiply-adds from which a kernel is divided. */
const largeProduct = 1_000_000;
/** The number of values from which any other kernel is divided. */
const manyValues = 100_000;

const products: Readonly<Record<string, (call: KernelCall) => number>> = {
  BatchMatMul: multiplied,
  _FusedMatMul: multiplied,
  Conv2D: convolved,
  FusedConv2D: convolved,
  DepthwiseConv2dNative: convolved,
  FusedDepthwiseConv2D: convolved,
};

const others = [
  "Add",
  "AvgPool",
  "MaxPool",
  "Multiply",
  "Prelu",
  "RealDiv",
  "Relu",
  "Relu6",
  "ResizeBilinear",
  "Sigmoid",
  "Sub",
];

/** Calls `divide` before each kernel of the backend that its threads can divide. */
export function registerDivision(divide: (all: boolean) => void): void {
  const choosing = (name: string, isLarge: (call: KernelCall) => boolean): void =>
    wrap(name, (call, original) => {
      divide(isLarge(call));
      return original(call);
    });
  for (const [name, multiplyAdds] of Object.entries(products)) {
    choosing(name, (call) => multiplyAdds(call) >= largeProduct);
  }
  for (const name of others) {
    if (!tf.getKernel(name, "wasm")) continue;
    choosing(name, ({ inputs }) => {
      const [first] = Object.values(inputs) as tf.TensorInfo[];
      return first !== undefined && tf.util.sizeFromShape(first.shape) >= manyValues;
    });
  }
}

function multiplied({ inputs, attrs }: KernelCall): number {
  const { a, b } = inputs as { a: tf.TensorInfo; b: tf.TensorInfo };
  return tf.util.sizeFromShape(a.shape) * sizeAt(b.shape, attrs?.["transposeB"] ? -2 : -1);
}

/** Returns about the number of multiply-adds of a convolution, whatever its padding. */
function convolved({ inputs, attrs }: KernelCall): number {
  const { x, filter } = inputs as { x: tf.TensorInfo; filter: tf.TensorInfo };
  const strides = [attrs?.["strides"] ?? 1].flat() as number[];
  const area = sizeAt(strides, 0) * (strides[1] ?? sizeAt(strides, 0));
  const [batch, height, width] = x.shape as [number, number, number];
  return (batch * height * width * tf.util.sizeFromShape(filter.shape)) / area;
}
