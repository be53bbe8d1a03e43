import { registerAdamStep } from "./adam-step.ts";
import { registerConvolutions } from "./convolution.ts";
import { registerConvolutions3d } from "./convolution-3d.ts";
import { registerDepthwise } from "./depthwise.ts";
import { registerMatrixProduct } from "./matrix-product.ts";
import { registerMoving } from "./moving.ts";
import { registerPooling } from "./pooling.ts";
import { registerReductions, registerSegmentSum } from "./reductions.ts";
import { registerResizing } from "./resizing.ts";
import { registerStridedSlice } from "./strided-slice.ts";

let registered = false;

/** Registers the kernels that the WebAssembly backend lacks, computes incorrectly or computes slowly. */
export function registerWasmKernels(): void {
  if (registered) return;
  registered = true;
  registerMatrixProduct();
  registerMoving();
  registerReductions();
  registerConvolutions();
  registerConvolutions3d();
  registerDepthwise();
  registerPooling();
  registerResizing();
  registerStridedSlice();
  registerSegmentSum();
  registerAdamStep();
}
