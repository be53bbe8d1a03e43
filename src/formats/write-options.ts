import type { CheckpointFormat } from "../checkpoint.ts";
import type { TensorProgram } from "./onnx/tensor-program.ts";

export interface FormatWriteOptions {
  /** The model as operations, for a format that holds operations instead of layers. */
  readonly program?: TensorProgram | undefined;
  /** Order of the axes of image inputs, for formats that can have either: NHWC as in Keras (the default), or NCHW. */
  readonly layout?: "nhwc" | "nchw" | undefined;
  /** The most bytes of weights in one shard, for `.weights.json` only. Defaults to 5 GB. */
  readonly maxShardBytes?: number | undefined;
}

export interface WriteOptions extends FormatWriteOptions {
  /** The format to write in. Defaults to that of the path's ending. */
  readonly format?: CheckpointFormat | undefined;
}
