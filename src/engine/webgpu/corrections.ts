/** @file Kernels that tfjs's WebGPU backend computes incorrectly or coarsely, composed of others on the GPU. */
import { sizeAt } from "../../tensor.ts";
import { tf } from "../tf.ts";
import { replaceKernel } from "./replace-kernel.ts";
import type { ShaderChange } from "./shaders.ts";
import { withShaders } from "./shaders.ts";

interface CumulativeAttributes {
  readonly axis: number;
  readonly exclusive: boolean;
  readonly reverse: boolean;
}

interface PoolAttributes {
  readonly filterSize: number | readonly [number, number];
  readonly strides: number | readonly [number, number];
  readonly pad: "valid" | "same" | number;
}

/** Replaces the kernels that need it. */
export function registerCorrections(): void {
  registerNaN();
  replaceKernel<{ x: tf.Tensor }, object>("Sin", ({ x }) => sine(x, 0));
  replaceKernel<{ x: tf.Tensor }, object>("Cos", ({ x }) => sine(x, 0.5));
  for (const [kernel, neutral] of [
    ["Cumsum", 0],
    ["Cumprod", 1],
  ] as const) {
    replaceKernel<{ x: tf.Tensor }, CumulativeAttributes>(
      kernel,
      ({ x }, { axis, exclusive, reverse }, original) => {
        const forward = reverse ? tf.reverse(x, axis) : x;
        const running = original({ x: forward }, { axis, exclusive: false, reverse: false });
        const shifted = exclusive ? behind(running, axis, neutral) : running;
        return reverse ? tf.reverse(shifted, axis) : shifted;
      },
    );
  }
  for (const kernel of ["MaxPoolGrad", "MaxPool3DGrad"]) {
    replaceKernel(kernel, (inputs, _attributes, original) =>
      withShaders(firstOfEqual, () => original(inputs)),
    );
  }
  replaceKernel<{ dy: tf.Tensor; input: tf.Tensor }, PoolAttributes>(
    "AvgPoolGrad",
    ({ dy, input }, attributes, original) => {
      if (attributes.pad === "valid") return original({ dy, input });
      return original({ dy: tf.mul(dy, windowShare(input, attributes)), input });
    },
  );
}

/**
 * Gives the gradient of a window's maximum to the first of equal values, as TensorFlow does, where the backend's shader gives it to the
 * last; and counts the places of a window of three axes by its own sizes, where it takes the rows for the columns.
 */
const firstOfEqual: ShaderChange = {
  name: "first",
  concerns: ({ shaderKey }) => /^pool[23]D_max_true/.test(shaderKey),
  applied: (source) => {
    const last = "if (value >= currMaxValue) {";
    if (!source.includes(last)) return undefined;
    return source
      .replace(last, "if (maxValueFound == 0.0 || value > currMaxValue) {")
      .replace(
        "wD * uniforms.filterDims.y * uniforms.filterDims.y",
        "wD * uniforms.filterDims.y * uniforms.filterDims.z",
      );
  },
};

/**
 * Lets NaN through kernels that may lose it: what a shader's `exp`, `min` and `max` make of NaN is the driver's choice. The others
 * look for it themselves.
 */
function registerNaN(): void {
  for (const kernel of ["Elu", "Exp", "Expm1", "Selu", "Sigmoid"]) {
    replaceKernel<{ x: tf.Tensor }, object>(kernel, ({ x }, _attributes, original) =>
      x.dtype === "float32" ? withShaders(passingNaN, () => original({ x })) : original({ x }),
    );
  }
  replaceKernel<{ x: tf.Tensor }, object>("Relu6", ({ x }) => tf.clipByValue(x, 0, 6));
  replaceKernel<{ logits: tf.Tensor }, object>("Softmax", ({ logits }, _attributes, original) => {
    const highest = tf.max(logits, -1, true);
    return tf.add(original({ logits }), tf.sub(highest, highest));
  });
  replaceKernel<{ x: tf.Tensor }, PoolAttributes>("MaxPool", ({ x }, attributes, original) => {
    if ([attributes.filterSize].flat().every((size) => size === 1)) return original({ x });
    const means = tf
      .engine()
      .runKernel("AvgPool", { x }, attributes as unknown as tf.NamedAttrMap) as tf.Tensor;
    return tf.where(tf.isNaN(means), means, original({ x }));
  });
}

/** Lets a shader that applies a function to each value return NaN for NaN. */
const passingNaN: ShaderChange = {
  name: "nan",
  concerns: ({ shaderKey }) => shaderKey.startsWith("unary_"),
  applied: (source) => {
    const head = "fn unaryOperation(a : f32) -> f32 {";
    return source.includes(head) ? source.replace(head, `${head} if (isnan(a)) { return a; }`) : undefined;
  },
};

/** Pi in three parts, the first two of few bits, so that multiples of them are exact. */
const piParts = [3.140625, 0.0009670257568359375, 6.277114152908325e-7];

/** Coefficients of sin(r) / r in r^2, from the highest down. */
const sineSeries = [-2.505210838544172e-8, 2.7557319223985893e-6, -1 / 5040, 1 / 120, -1 / 6, 1];

/**
 * Computes `sin(x + lead * pi)` to float32's precision. A GPU's own may be off by 2^-11 (Vulkan's and Direct3D's specifications).
 */
function sine(x: tf.Tensor, lead: 0 | 0.5): tf.Tensor {
  const turns = tf.sub(tf.round(tf.add(tf.mul(x, 1 / Math.PI), lead)), lead);
  const rest = piParts.reduce<tf.Tensor>((left, part) => tf.sub(left, tf.mul(turns, part)), x);
  const square = tf.square(rest);
  const [highest = 0, ...lower] = sineSeries;
  const series = lower.reduce<tf.Tensor>(
    (sum, coefficient) => tf.add(tf.mul(sum, square), coefficient),
    tf.fill(x.shape, highest),
  );
  const isOdd = tf.sub(tf.add(turns, lead), tf.mul(tf.floor(tf.mul(tf.add(turns, lead), 0.5)), 2));
  return tf.mul(tf.mul(rest, series), tf.sub(1, tf.mul(isOdd, 2)));
}

/** Moves values one place up along an axis. The first is `neutral`, the last is gone. */
function behind(x: tf.Tensor, axis: number, neutral: number): tf.Tensor {
  const begin = x.shape.map(() => 0);
  const sizes = x.shape.map((size, index) => (index === axis ? size - 1 : size));
  const first = x.shape.map((size, index) => (index === axis ? 1 : size));
  if (sizeAt(x.shape, axis) === 0) return x.clone();
  return tf.concat([tf.cast(tf.fill(first, neutral), x.dtype), tf.slice(x, begin, sizes)], axis);
}

/** Returns the size of a window divided by the number of its positions that lie in the image, `[1, H', W', 1]`. */
function windowShare(input: tf.Tensor, { filterSize, strides, pad }: PoolAttributes): tf.Tensor {
  const [height, width] = [filterSize].flat() as [number, number?];
  const window: [number, number, 1, 1] = [height, width ?? height, 1, 1];
  const image = tf.ones([1, sizeAt(input.shape, 1), sizeAt(input.shape, 2), 1]) as tf.Tensor4D;
  const counts = tf.conv2d(image, tf.ones(window) as tf.Tensor4D, strides as [number, number], pad);
  return tf.div(window[0] * window[1], counts);
}
