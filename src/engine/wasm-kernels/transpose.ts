/** @file Permutations of axes on the WebAssembly backend, plane by plane in blocks. */
import { sizeAt } from "../../tensor.ts";
import type { tf } from "../tf.ts";
import type { Shape, WasmBackend } from "./replace-kernel.ts";
import { wrap } from "./replace-kernel.ts";
import { simdOn } from "./simd.ts";

/** The number of values of a plane below which the backend's own kernel is as fast. */
const smallPlane = 32;

export function registerTranspose(): void {
  wrap("Transpose", (call, original) => {
    const x = call.inputs["x"] as tf.TensorInfo;
    const { perm } = call.attrs as unknown as { readonly perm: readonly number[] };
    const backend = call.backend as WasmBackend;
    const moved = merged(x.shape, perm);
    const last = moved.shape.length - 1;
    const shape = perm.map((axis) => sizeAt(x.shape, axis));
    if (x.dtype === "string" || x.dtype === "bool") return original(call);
    if (last <= 0) {
      const same = backend.makeOutput(shape, x.dtype);
      backend.typedArrayFromHeap(same).set(backend.typedArrayFromHeap(x));
      return same;
    }
    const turned = sizeAt(moved.perm, last);
    if (turned === last || sizeAt(moved.shape, turned) * sizeAt(moved.shape, last) < smallPlane)
      return original(call);
    const output = backend.makeOutput(shape, x.dtype);
    const [from, to] = [
      backend.typedArrayFromHeap(x).byteOffset,
      backend.typedArrayFromHeap(output).byteOffset,
    ];
    const steps = stepsOf(moved.shape);
    const turnedSteps = stepsOf(moved.perm.map((axis) => sizeAt(moved.shape, axis)));
    const targetStep = (axis: number): number => sizeAt(turnedSteps, moved.perm.indexOf(axis));
    const others = moved.shape.flatMap((_, axis) => (axis === turned || axis === last ? [] : [axis]));
    const simd = simdOn(backend);
    const place = (depth: number, source: number, target: number): void => {
      const axis = others[depth];
      if (axis === undefined) {
        const [rows, columns] = [sizeAt(moved.shape, turned), sizeAt(moved.shape, last)];
        simd.transpose(
          from + 4 * source,
          to + 4 * target,
          rows,
          columns,
          sizeAt(steps, turned),
          targetStep(last),
        );
        return;
      }
      for (let index = 0; index < sizeAt(moved.shape, axis); index++) {
        place(depth + 1, source + index * sizeAt(steps, axis), target + index * targetStep(axis));
      }
    };
    if (output.shape.every((size) => size > 0)) place(0, 0, 0);
    return output;
  });
}

/** Returns the same permutation of fewer axes: without those of size 1, and with those that stay together as one. */
function merged(
  shape: Shape,
  perm: readonly number[],
): { shape: readonly number[]; perm: readonly number[] } {
  const groups: number[][] = [];
  for (const axis of perm.filter((one) => shape[one] !== 1)) {
    const group = groups.at(-1);
    const before = group?.at(-1);
    const follows = before !== undefined && shape.slice(before + 1, axis).every((size) => size === 1);
    if (group && before !== undefined && axis > before && follows) group.push(axis);
    else groups.push([axis]);
  }
  const inOrder = groups.toSorted(([a = 0], [b = 0]) => a - b);
  return {
    shape: inOrder.map((group) => group.reduce((size, axis) => size * sizeAt(shape, axis), 1)),
    perm: groups.map((group) => inOrder.indexOf(group)),
  };
}

function stepsOf(shape: Shape): number[] {
  return shape.map((_, axis) => shape.slice(axis + 1).reduce((all, size) => all * size, 1));
}
