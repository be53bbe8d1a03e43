import type { CheckpointFormat, PreprocessMode } from "../checkpoint.ts";
import type { TensorProgram } from "./onnx/tensor-program.ts";

/** The arithmetic that turns pixels of 0 to 255 into what a model was trained on. */
export interface PixelSteps {
  /** True where the channels are exchanged first, RGB to BGR. */
  readonly isReversed: boolean;
  readonly divisor: number;
  /** Subtracted after the division: one number, or one per channel. */
  readonly mean: readonly number[];
  /** Divided by after the subtraction: one number, or one per channel. */
  readonly std: readonly number[];
}

export interface FormatWriteOptions {
  /** The model as operations, for a format that holds operations instead of layers. */
  readonly program?: TensorProgram | undefined;
  /** Order of the axes of image inputs, for formats that can have either: NHWC as in Keras (the default), or NCHW. */
  readonly layout?: "nhwc" | "nchw" | undefined;
  /** Stores weights as float16, which halves the file, for formats that hold operations. They are computed with as float32. */
  readonly float16?: boolean | undefined;
  /** Steps from pixels that the written model itself carries out first, for formats that hold operations. */
  readonly pixels?: PixelSteps | undefined;
  /** The preprocessing that images need before the model is called, where that is known. */
  readonly preprocess?: PreprocessMode | undefined;
  /** The most bytes of weights in one shard, for `.weights.json` only. Defaults to 5 GB. */
  readonly maxShardBytes?: number | undefined;
}

export interface WriteOptions extends FormatWriteOptions {
  /** The format to write in. Defaults to that of the path's ending. */
  readonly format?: CheckpointFormat | undefined;
}
