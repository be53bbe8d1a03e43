/** @file Kernels of single values on the WebAssembly backend, in one pass and with NaN kept. */
import { onHeap } from "./replace-kernel.ts";

interface Bounds {
  readonly clipValueMin: number;
  readonly clipValueMax: number;
}

export function registerElementwise(): void {
  onHeap("ClipByValue", {
    reads: ["x"],
    shapes: ["x"],
    shapeOf: ([shape]) => shape,
    compute: ([x], y, { clipValueMin, clipValueMax }: Bounds, _shapes, simd) =>
      simd.clip(x.byteOffset, y.byteOffset, y.length, clipValueMin, clipValueMax),
  });
  onHeap("Relu6", {
    reads: ["x"],
    shapes: ["x"],
    shapeOf: ([shape]) => shape,
    compute: ([x], y, _attributes, _shapes, simd) => simd.clip(x.byteOffset, y.byteOffset, y.length, 0, 6),
  });
  for (const [kernel, highest] of Object.entries({ ReluGrad: Number.POSITIVE_INFINITY, Relu6Grad: 6 })) {
    onHeap(kernel, {
      reads: ["dy", "y"],
      shapes: ["y"],
      shapeOf: ([shape]) => shape,
      compute: ([dy, y], dx, _attributes, _shapes, simd) =>
        simd.gateGradient(dy.byteOffset, y.byteOffset, dx.byteOffset, dx.length, 0, highest),
    });
  }
}
