/**
 * @file Fourier transforms and sliding blocks of keras.ops (`keras/src/ops/math.py`, `nn.py`). Each is a product with
 * constant matrices.
 */
import { dense } from "../../engine/operations.ts";
import { tf } from "../../engine/tf.ts";
import { sizeAt } from "../../tensor.ts";
import { numberAt, numbersAt } from "../../topology/config-values.ts";
import { blockCounts } from "../../topology/specs/ops-signals.ts";
import { contractAxis, padAxis } from "../axes.ts";
import type { Kernel, KernelCall, KernelResult } from "../kernel.ts";
import { firstInput } from "../kernel.ts";
import { swapped } from "./matrix-products.ts";
import { argumentOf, operandsOf, tensorList } from "./operands.ts";

/** A real and an imaginary part. */
type Complex = readonly [real: tf.Tensor, imaginary: tf.Tensor];

export const signalKernels: Readonly<Record<string, Kernel>> = {
  "ops.FFT": (call) => partsOf(transformed(complexOf(call))),
  "ops.FFT2": (call) => partsOf(transformed2(complexOf(call))),
  "ops.IFFT2": (call) => {
    const [real, imaginary] = complexOf(call);
    const [a, b] = transformed2([real, tf.neg(imaginary)]);
    const count = sizeAt(real.shape, -1) * sizeAt(real.shape, -2);
    return partsOf([tf.div(a, count), tf.div(b, -count)]);
  },
  "ops.RFFT": (call) => {
    const x = operandsOf(call, 1)[0];
    const length =
      call.config["fft_length"] == null ? sizeAt(x.shape, -1) : numberAt(call.config, "fft_length");
    return partsOf(realTransformed(ofLength(x, length)));
  },
  "ops.IRFFT": (call) => {
    const parts = complexOf(call);
    const given = call.config["fft_length"];
    const length = given == null ? 2 * (sizeAt(parts[0].shape, -1) - 1) : numberAt(call.config, "fft_length");
    return inverseRealTransformed(parts, length);
  },
  "ops.Unfold": ({ inputs, config }) => unfolded(firstInput(inputs), config),
  "ops.Fold": ({ inputs, config }) => folded(firstInput(inputs), config),
};

function complexOf(call: KernelCall): Complex {
  return tensorList(argumentOf(call, 0, "x")) as [tf.Tensor, tf.Tensor];
}

function partsOf([real, imaginary]: Complex): KernelResult {
  return { outputs: [real, imaginary] };
}

/** Returns the matrix `wave(2 pi row column / length)`. */
function waves(rows: number, columns: number, length: number, wave: (angle: number) => number): tf.Tensor2D {
  const values = Float32Array.from({ length: rows * columns }, (_, place) => {
    const turn = (Math.floor(place / columns) * (place % columns)) % length;
    return wave((2 * Math.PI * turn) / length);
  });
  return tf.tensor2d(values, [rows, columns]);
}

/** Transforms the last axis. */
function transformed([real, imaginary]: Complex): Complex {
  const size = sizeAt(real.shape, -1);
  const cosines = waves(size, size, size, Math.cos);
  const sines = waves(size, size, size, Math.sin);
  return [
    tf.add(dense(real, cosines), dense(imaginary, sines)),
    tf.sub(dense(imaginary, cosines), dense(real, sines)),
  ];
}

function transformed2(parts: Complex): Complex {
  const [real, imaginary] = transformed(parts);
  const [a, b] = transformed([swapped(real), swapped(imaginary)]);
  return [swapped(a), swapped(b)];
}

/** Computes the frequencies up to half of the length. */
function realTransformed(x: tf.Tensor): Complex {
  const size = sizeAt(x.shape, -1);
  const frequencies = Math.floor(size / 2) + 1;
  const sines = waves(size, frequencies, size, (angle) => -Math.sin(angle));
  return [dense(x, waves(size, frequencies, size, Math.cos)), dense(x, sines)];
}

/**
 * Computes the inverse transform of real numbers. Each frequency but the first, and the last of an even length, also
 * stands for its mirror.
 */
export function inverseRealTransformed([real, imaginary]: Complex, length: number): tf.Tensor {
  const frequencies = Math.floor(length / 2) + 1;
  const shares = Array.from({ length: frequencies }, (_, frequency) =>
    frequency === 0 || 2 * frequency === length ? 1 / length : 2 / length,
  );
  const weighted = (x: tf.Tensor): tf.Tensor => tf.mul(ofLength(x, frequencies), tf.tensor1d(shares));
  return tf.sub(
    dense(weighted(real), waves(frequencies, length, length, Math.cos)),
    dense(weighted(imaginary), waves(frequencies, length, length, Math.sin)),
  );
}

/** Cuts the last axis to a length, or fills it up with zeros. */
function ofLength(x: tf.Tensor, length: number): tf.Tensor {
  return padAxis(x, x.rank - 1, 0, length - sizeAt(x.shape, -1));
}

/**
 * Returns, for each tap of a window along an axis, the matrix `[size, positions]` that puts the values it reads back in
 * their places.
 */
function placements(
  config: KernelCall["config"],
  size: number,
  axis: number,
  positions: number,
): tf.Tensor2D[] {
  const [taps, rate, margin, stride] = ["kernel_size", "dilation", "padding", "stride"].map(
    (key) => numbersAt(config, key, 2)[axis]!,
  ) as [number, number, number, number];
  return Array.from({ length: taps }, (_, tap) => {
    const matrix = new Float32Array(size * positions);
    for (let position = 0; position < positions; position++) {
      const place = position * stride + tap * rate - margin;
      if (place >= 0 && place < size) matrix[place * positions + position] = 1;
    }
    return tf.tensor2d(matrix, [size, positions]);
  });
}

/** Cuts images `[N, C, H, W]` into windows `[N, C h w, positions]`. */
function unfolded(x: tf.Tensor, config: KernelCall["config"]): tf.Tensor {
  const [batch, channels, high, wide] = x.shape as [number, number, number, number];
  const [rows, columns] = blockCounts(config, [high, wide]) as [number, number];
  const across = placements(config, wide, 1, columns);
  const blocks = placements(config, high, 0, rows).flatMap((down) => {
    const strip = contractAxis(x, 2, tf.transpose(down));
    return across.map((matrix) => contractAxis(strip, 3, tf.transpose(matrix)));
  });
  return tf.reshape(tf.stack(blocks, 2), [batch, channels * blocks.length, rows * columns]);
}

/** Puts windows back in their places and adds them up where they overlap. */
function folded(x: tf.Tensor, config: KernelCall["config"]): tf.Tensor {
  const [high, wide] = numbersAt(config, "output_size", 2);
  const [rows, columns] = blockCounts(config, [high, wide]) as [number, number];
  const [down, across] = [placements(config, high, 0, rows), placements(config, wide, 1, columns)];
  const count = down.length * across.length;
  const [batch, values] = x.shape as [number, number];
  const blocks = tf.unstack(tf.reshape(x, [batch, values / count, count, rows, columns]), 2);
  return blocks
    .map((block, index) => {
      const wider = contractAxis(block, 3, across[index % across.length]!);
      return contractAxis(wider, 2, down[Math.floor(index / across.length)]!);
    })
    .reduce((sum, block) => tf.add(sum, block));
}
