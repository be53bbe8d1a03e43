import type { Json, JsonObject } from "../../checkpoint.ts";
import type { Shape } from "../../tensor.ts";
import { channelsFirst, countAt, integerAt, stringAt } from "../config-values.ts";
import type { LayerSpec, WeightSpec } from "../layer-spec.ts";
import { knownSize, requireRank, visitedLength } from "./windows.ts";

/** @file Spectrograms of audio (`keras/src/layers/preprocessing/stft_spectrogram.py`, `mel_spectrogram.py`). */

/** Lengths of a short-time Fourier transform in samples. */
export interface Frames {
  readonly length: number;
  readonly step: number;
  readonly transform: number;
}

/**
 * Returns the lengths of an STFTSpectrogram. The step defaults to half a frame and the transform to the next power of
 * two.
 */
export function stftFrames(config: JsonObject): Frames {
  const length = countAt(config, "frame_length");
  const step = config["frame_step"] === null ? Math.floor(length / 2) : countAt(config, "frame_step");
  const given = config["fft_length"] === null ? undefined : countAt(config, "fft_length");
  return { length, step, transform: given ?? 2 ** Math.ceil(Math.log2(length)) };
}

/** Returns the trainable kernels: one filter for each frequency, for the real and for the imaginary part. */
function stftWeights(config: JsonObject): WeightSpec[] {
  const { length, transform } = stftFrames(config);
  const mode = config["mode"];
  const kernel = (side: "real" | "imag"): WeightSpec => ({
    name: `${side}_kernel`,
    shape: [length, 1, Math.floor(transform / 2) + 1],
    trainable: true,
    initializer: stftInitializer(config, side),
    regularizer: null,
  });
  return [...(mode === "imag" ? [] : [kernel("real")]), ...(mode === "real" ? [] : [kernel("imag")])];
}

function stftInitializer({ window, scaling, periodic }: JsonObject, side: string): Json {
  return {
    class_name: "STFT",
    config: { side, window: window ?? null, scaling: scaling ?? null, periodic: periodic ?? false },
  };
}

const stftSpectrogram: LayerSpec = {
  className: "STFTSpectrogram",
  defaults: {
    mode: "log",
    frame_length: 256,
    frame_step: null,
    fft_length: null,
    window: "hann",
    periodic: false,
    scaling: "density",
    padding: "valid",
    expand_dims: false,
    data_format: "channels_last",
  },
  weights: ({ config }) => stftWeights(config),
  outputShapes: ({ config, inputs }) => [stftShape(inputs[0], config)],
};

function stftShape(input: Shape, config: JsonObject): Shape {
  requireRank(input, 3);
  const first = channelsFirst(config);
  const { length, step, transform } = stftFrames(config);
  const frames = visitedLength(
    input[first ? 2 : 1] ?? null,
    { size: length, stride: step, dilation: 1 },
    stringAt(config, "padding"),
  );
  const frequencies = (Math.floor(transform / 2) + 1) * (config["mode"] === "stft" ? 2 : 1);
  const channels = knownSize(input, first ? 1 : 2, "channels");
  const [batch = null] = input;
  if (config["expand_dims"] !== true) {
    return first ? [batch, channels * frequencies, frames] : [batch, frames, channels * frequencies];
  }
  return first ? [batch, channels, frames, frequencies] : [batch, frames, frequencies, channels];
}

/** Returns the lengths of a MelSpectrogram, whose signal is padded by half a transform at each end. */
export function melFrames(config: JsonObject): Frames {
  const transform = countAt(config, "fft_length");
  return { length: countAt(config, "sequence_length"), step: countAt(config, "sequence_stride"), transform };
}

const melSpectrogram: LayerSpec = {
  className: "MelSpectrogram",
  defaults: {
    fft_length: 2048,
    sequence_stride: 512,
    sequence_length: 2048,
    window: "hann",
    sampling_rate: 16000,
    num_mel_bins: 128,
    min_freq: 20,
    max_freq: 8000,
    power_to_db: true,
    top_db: 80,
    mag_exp: 2,
    min_power: 1e-10,
    ref_power: 1,
  },
  outputShapes: ({ config, inputs }) => {
    const { step, transform } = melFrames(config);
    const samples = inputs[0].at(-1) ?? null;
    const spare = 2 * Math.floor(transform / 2) - transform;
    const frames = samples === null ? null : 1 + Math.floor((samples + spare) / step);
    return [[...inputs[0].slice(0, -1), integerAt(config, "num_mel_bins"), frames]];
  },
  refusal: ({ window }) =>
    window === null || window === "hann" || window === "hamming"
      ? undefined
      : { reason: `its window ${JSON.stringify(window)} is unknown`, advice: "Use hann or hamming." },
  // Decibels are clipped relative to the loudest value of the whole batch.
  couplesBatch: true,
};

export const spectrogramSpecs: readonly LayerSpec[] = [stftSpectrogram, melSpectrogram];
