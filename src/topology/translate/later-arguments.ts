import type { Json, JsonObject } from "../../checkpoint.ts";

/**
 * @file Classes and arguments that Keras 3.15 writes and Keras 3.0 does not have, with the values at which an argument
 * has no effect. Compared with every public class of Keras 3.0.5.
 */

/** Values at which an argument has no effect on what is computed. "any" if no value has one. */
type Inert = readonly (Json | undefined)[] | "any";

const quantization: Readonly<Record<string, Inert>> = {
  quantization_config: [null],
  lora_alpha: [null],
  gptq_unpacked_column_size: [null],
};
const transposed: Readonly<Record<string, Inert>> = { output_padding: [null] };
const heads: Readonly<Record<string, Inert>> = {
  sliding_window: [null],
  flash_attention: [null, false],
  use_gate: [false],
  seed: "any",
};
const fans: Readonly<Record<string, Inert>> = { input_axes: [null], output_axes: [null] };
const channelsLast: Readonly<Record<string, Inert>> = { data_format: [null, "channels_last"] };

const laterArguments: Readonly<Record<string, Readonly<Record<string, Inert>>>> = {
  AdditiveAttention: { seed: "any" },
  Attention: { seed: "any" },
  BatchNormalization: { renorm: [false], renorm_clipping: [null], renorm_momentum: "any" },
  CategoryEncoding: { sparse: [false] },
  Conv1DTranspose: transposed,
  Conv2DTranspose: transposed,
  Conv3DTranspose: transposed,
  Dense: quantization,
  EinsumDense: quantization,
  Embedding: { ...quantization, weights: [null] },
  GRU: { use_cudnn: "any" },
  GroupQueryAttention: heads,
  InputLayer: { optional: [false], ragged: [false, null] },
  IntegerLookup: { oov_method: ["floormod"], salt: [null] },
  LSTM: { use_cudnn: "any" },
  MultiHeadAttention: heads,
  RandomBrightness: channelsLast,
  RandomContrast: { ...channelsLast, value_range: "any" },
  RandomFlip: channelsLast,
  Resizing: {
    antialias: [false],
    fill_mode: ["constant"],
    fill_value: [0],
    pad_to_aspect_ratio: [false],
  },
  StringLookup: { oov_method: ["floormod"], salt: [null] },
  ZeroPadding1D: channelsLast,
  GlorotNormal: fans,
  GlorotUniform: fans,
  HeNormal: fans,
  HeUniform: fans,
  LecunNormal: fans,
  LecunUniform: fans,
  VarianceScaling: fans,
  "ops.Argmax": { keepdims: [false] },
  "ops.Argmin": { keepdims: [false] },
  "ops.FullLike": { dtype: [null] },
  "ops.Isclose": { equal_nan: [false] },
  "ops.MultiHot": { sparse: [false] },
  "ops.NanToNum": { nan: [0], neginf: [null], posinf: [null] },
  "ops.Normalize": { epsilon: [null] },
  "ops.OneHot": { sparse: [false] },
  "ops.OnesLike": { dtype: [null] },
  "ops.PadImages": channelsLast,
  "ops.Resize": {
    crop_to_aspect_ratio: [false],
    fill_mode: ["constant"],
    fill_value: [0],
    pad_to_aspect_ratio: [false],
  },
  "ops.ZerosLike": { dtype: [null] },
};

const laterClasses: ReadonlySet<string> = new Set([
  ...`AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D AdaptiveMaxPooling1D AdaptiveMaxPooling2D
    AdaptiveMaxPooling3D AugMix AutoContrast CutMix Equalization MaxNumBoundingBoxes MelSpectrogram MixUp Pipeline
    RMSNormalization RandAugment RandomColorDegeneration RandomColorJitter RandomElasticTransform RandomErasing
    RandomGaussianBlur RandomGrayscale RandomHue RandomInvert RandomPerspective RandomPosterization RandomSaturation
    RandomSharpness RandomShear ReversibleEmbedding STFTSpectrogram Solarization
    ContrastLimitedAdaptiveHistogramEqualization`.split(/\s+/),
  ...`AdaptiveAveragePool AdaptiveMaxPool AllClose Angle Argpartition ArraySplit AssociativeScan BitwiseAnd BitwiseInvert
    BitwiseLeftShift BitwiseNot BitwiseOr BitwiseRightShift BitwiseXor CDist CTCDecode CTCLoss Cbrt Celu CholeskyInverse
    ConvertToTensor Corrcoef Correlate CropImages Deg2rad DepthToSpace Diagflat DotProductAttention Dsplit Dstack Eigh
    ElasticTransform EmptyLike Erfc Exp2 Fabs Fliplr Flipud Fmax Fmin Fmod Fold GaussianBlur Gcd Geomspace Glu HSVToRGB
    HardShrink HardTanh Heaviside Histogram Hsplit Hypot I0 IFFT2 Inner IsIn Isneginf Isposinf Isreal JVP Kron LayerNorm
    Lcm Ldexp LeftShift Logaddexp2 Logdet Lstsq Map MatrixRank Nanargmax Nanargmin Nancumprod Nancumsum Nanmax Nanmean
    Nanmedian Nanmin Nanpercentile Nanprod Nanquantile Nanstd Nansum Nanvar Nextafter PSNR Percentile PerspectiveTransform
    Pinv Polar Ptp RGBToGrayscale RGBToHSV RMSNorm Rad2deg RightShift Rot90 SSIM SaturateCast ScaleAndTranslate Scan
    SearchSorted SegmentMin SegmentProd SegmentReduction Select Signbit Sinc Slogdet SobelEdges SoftShrink SpaceToDepth
    SparsePlus SparseSigmoid Sparsemax Squareplus Switch TanhShrink Threshold Trapezoid Trunc Unfold Unique UnravelIndex
    Vander VectorizedMap View ViewAsComplex ViewAsReal Vsplit`
    .split(/\s+/)
    .map((name) => `ops.${name}`),
]);

const laterActivations: ReadonlySet<string> = new Set(
  `celu glu hard_shrink hard_tanh log_sigmoid soft_shrink sparse_plus sparse_sigmoid sparsemax squareplus tanh_shrink
   threshold`.split(/\s+/),
);

/** Returns whether Keras 3.0 lacks this class. An operation has the prefix `ops.`, such as `ops.Rot90`. */
export function isLaterClass(className: string): boolean {
  return laterClasses.has(className);
}

/** Returns whether Keras 3.0 lacks this activation. */
export function isLaterActivation(name: Json): boolean {
  return typeof name === "string" && laterActivations.has(name);
}

/**
 * Lists the arguments that Keras 3.0 does not have: inert ones may be left out, active ones change what is computed.
 */
export function laterArgumentsOf(
  className: string,
  config: JsonObject,
): { readonly inert: readonly string[]; readonly active: readonly string[] } {
  const later = laterArguments[className] ?? {};
  const keys = Object.keys(config).filter((key) => key in later);
  const isInert = (key: string): boolean => {
    const values = later[key];
    return values === "any" || values?.includes(config[key]) === true;
  };
  return { inert: keys.filter(isInert), active: keys.filter((key) => !isInert(key)) };
}
