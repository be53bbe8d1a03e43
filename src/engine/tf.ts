/**
 * @file The only instance of tfjs-core in this process, which every other room takes from here. It is required, not imported: Node
 * reads a CommonJS file through once more to learn its names before it imports it, which takes as long as running it.
 */
import { createRequire } from "node:module";
import type * as core from "@tensorflow/tfjs-core";

export const tf: typeof core = createRequire(import.meta.url)("@tensorflow/tfjs-core");

/** The types of tfjs-core that stand under the same name. */
export declare namespace tf {
  export type DataType = core.DataType;
  export type GradFunc = core.GradFunc;
  export type GradSaveFunc = core.GradSaveFunc;
  export type KernelBackend = core.KernelBackend;
  export type KernelConfig = core.KernelConfig;
  export type KernelFunc = core.KernelFunc;
  export type NamedAttrMap = core.NamedAttrMap;
  export type NamedTensorMap = core.NamedTensorMap;
  export type Rank = core.Rank;
  export type Tensor<R extends core.Rank = core.Rank> = core.Tensor<R>;
  export type Tensor1D = core.Tensor1D;
  export type Tensor2D = core.Tensor2D;
  export type Tensor3D = core.Tensor3D;
  export type Tensor4D = core.Tensor4D;
  export type Tensor5D = core.Tensor5D;
  export type TensorContainer = core.TensorContainer;
  export type TensorInfo = core.TensorInfo;
  export type TensorLike = core.TensorLike;
  export type Scalar = core.Scalar;
  export type Variable = core.Variable;
  export namespace backend_util {
    export type Conv2DInfo = core.backend_util.Conv2DInfo;
  }
  export namespace io {
    export type IOHandler = core.io.IOHandler;
  }
}
