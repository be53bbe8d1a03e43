/** @file Spectrograms of sound (`keras/src/layers/preprocessing/stft_spectrogram.py`, `mel_spectrogram.py`). */
import type { JsonObject } from "../checkpoint.ts";
import type { Padding } from "../engine/operations.ts";
import { dense } from "../engine/operations.ts";
import { tf } from "../engine/tf.ts";
import { sizeAt } from "../tensor.ts";
import { isTrueAt, numberAt, stringAt } from "../topology/config-values.ts";
import { melFrames, stftFrames } from "../topology/specs/spectrogram.ts";
import { everyNth, isChannelsFirst, mirrorAxis, padAxis } from "./axes.ts";
import { convolve } from "./convolution.ts";
import type { Kernel, KernelCall } from "./kernel.ts";
import { firstInput, weightIn } from "./kernel.ts";
import { framed } from "./ops/arrays.ts";
import { swapped } from "./ops/matrix-products.ts";
import { fourierMatrices, windowShape } from "./ops/short-time-fourier.ts";

export const spectrogramKernels: Readonly<Record<string, Kernel>> = {
  STFTSpectrogram: stftSpectrogram,
  MelSpectrogram: melSpectrogram,
};

const epsilon = 1e-7;

function stftSpectrogram(call: KernelCall): tf.Tensor {
  const { config } = call;
  const mode = stringAt(config, "mode");
  const part = (name: "real_kernel" | "imag_kernel"): tf.Tensor =>
    transformed(call, weightIn(call.weights, name));
  switch (mode) {
    case "real":
      return arranged(part("real_kernel"), config);
    case "imag":
      return arranged(part("imag_kernel"), config);
    case "angle":
      return arranged(tf.atan2(part("imag_kernel"), part("real_kernel")), config);
    case "stft":
      return arranged(tf.concat([part("real_kernel"), part("imag_kernel")], 3), config);
  }
  const power = tf.add(tf.square(part("real_kernel")), tf.square(part("imag_kernel")));
  if (mode === "psd") {
    const inner = everyNth(power, 3, 1, sizeAt(power.shape, 3) - 2, 1);
    return arranged(tf.add(power, padAxis(inner, 3, 1, 1)), config);
  }
  const magnitude = tf.sqrt(tf.maximum(power, epsilon));
  return arranged(mode === "log" ? tf.log(tf.maximum(magnitude, epsilon)) : magnitude, config);
}

/** Computes the frames of each channel by frequency: `[N, C, frames, frequencies]`. */
function transformed({ inputs, config }: KernelCall, kernel: tf.Tensor): tf.Tensor {
  const x = isChannelsFirst(config) ? firstInput(inputs) : tf.transpose(firstInput(inputs), [0, 2, 1]);
  const [batch, channels, samples] = x.shape as [number, number, number];
  const padding = stringAt(config, "padding") as Padding;
  const window = { strides: [stftFrames(config).step], dilation: [1], padding };
  const result = convolve(tf.reshape(x, [batch * channels, samples, 1]), kernel, window);
  return tf.reshape(result, [batch, channels, sizeAt(result.shape, 1), sizeAt(result.shape, 2)]);
}

function arranged(x: tf.Tensor, config: JsonObject): tf.Tensor {
  const [batch, channels, frames, frequencies] = x.shape as [number, number, number, number];
  const first = isChannelsFirst(config);
  if (isTrueAt(config, "expand_dims")) return first ? x : tf.transpose(x, [0, 2, 3, 1]);
  return first
    ? tf.reshape(tf.transpose(x, [0, 1, 3, 2]), [batch, channels * frequencies, frames])
    : tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [batch, frames, channels * frequencies]);
}

/** Computes `[..., bands, frames]` from `[..., samples]`. */
function melSpectrogram({ inputs, config }: KernelCall): tf.Tensor {
  const { length, step, transform } = melFrames(config);
  const samples = mirrorAxis(firstInput(inputs), firstInput(inputs).rank - 1, Math.floor(transform / 2));
  const frames = framed(samples, transform, step);
  const shape = windowShape(config["window"] ?? null, length, transform);
  const [cosines, sines] = fourierMatrices(shape);
  const power = tf.add(tf.square(dense(frames, cosines)), tf.square(dense(frames, sines)));
  const magnitude = tf.sqrt(power);
  const exponent = numberAt(config, "mag_exp");
  const spectrum = exponent === 2 ? power : exponent === 1 ? magnitude : tf.pow(magnitude, exponent);
  const bands = dense(spectrum, melMatrix(config, Math.floor(transform / 2) + 1));
  const levels = config["power_to_db"] === true ? decibels(bands, config) : bands;
  return swapped(levels);
}

/**
 * Returns triangles of height 1, evenly spaced in mel over the frequencies, `[frequencies, bands]`. Each is zero at
 * frequency 0.
 */
function melMatrix(config: JsonObject, frequencies: number): tf.Tensor {
  const rate = numberAt(config, "sampling_rate");
  const bands = numberAt(config, "num_mel_bins");
  const mel = (hertz: number): number => 1127 * Math.log(1 + hertz / 700);
  const low = mel(numberAt(config, "min_freq"));
  const width = (mel(numberAt(config, "max_freq")) - low) / (bands + 1);
  const values = new Float32Array(frequencies * bands);
  for (let frequency = 1; frequency < frequencies; frequency++) {
    const place = mel(((rate / 2) * frequency) / (frequencies - 1));
    for (let band = 0; band < bands; band++) {
      const distance = Math.abs(place - (low + (band + 1) * width)) / width;
      values[frequency * bands + band] = Math.max(0, 1 - distance);
    }
  }
  return tf.tensor2d(values, [frequencies, bands]);
}

/** Converts power to decibels relative to the reference, at most `top_db` below the maximum of the batch. */
function decibels(x: tf.Tensor, config: JsonObject): tf.Tensor {
  const least = numberAt(config, "min_power");
  const reference = Math.max(Math.abs(numberAt(config, "ref_power")), least);
  const level = tf.mul(tf.log(tf.maximum(x, least)), 10 / Math.LN10);
  const relative = tf.sub(level, 10 * Math.log10(reference));
  return tf.maximum(relative, tf.sub(tf.max(relative), numberAt(config, "top_db")));
}
