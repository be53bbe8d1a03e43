/**
 * @file Kernels for tensors of rank 5 and above, whose shaders in tfjs's WebGPU backend do not compile ("cannot index type 'vec5'"):
 * they run on a view of lower rank.
 */
import { sizeAt } from "../../tensor.ts";
import { tf } from "../tf.ts";
import type { OriginalKernel } from "./replace-kernel.ts";
import { replaceKernel } from "./replace-kernel.ts";

type Shape = readonly number[];

/** The highest rank that every shader compiles for. */
const highestRank = 4;

/** Kernels of two tensors that broadcast against each other. */
const broadcasting = [
  "Add",
  "Atan2",
  "Equal",
  "FloorDiv",
  "Greater",
  "GreaterEqual",
  "Less",
  "LessEqual",
  "LogicalAnd",
  "LogicalOr",
  "Maximum",
  "Minimum",
  "Mod",
  "Multiply",
  "NotEqual",
  "Pow",
  "RealDiv",
  "SquaredDifference",
  "Sub",
];

interface PadAttributes {
  readonly paddings: readonly (readonly [number, number])[];
  readonly constantValue: number;
}

/** Replaces the kernels that need it. */
export function registerHighRanks(): void {
  for (const kernel of broadcasting) {
    replaceKernel<{ a: tf.Tensor; b: tf.Tensor }, object>(kernel, ({ a, b }, _attributes, original) =>
      Math.max(a.shape.length, b.shape.length) > highestRank ? broadcast(a, b, original) : original({ a, b }),
    );
  }
  replaceKernel<{ x: tf.Tensor }, PadAttributes>("PadV2", ({ x }, { paddings, constantValue }, original) =>
    x.shape.length > highestRank ? padded(x, paddings, constantValue, original) : original({ x }),
  );
  replaceKernel<{ condition: tf.Tensor; t: tf.Tensor; e: tf.Tensor }, object>(
    "Select",
    ({ condition, t, e }, _attributes, original) => {
      if (t.shape.length <= highestRank) return original({ condition, t, e });
      const outer = condition.shape.length === 1 && t.shape.length > 1 ? [sizeAt(t.shape, 0), -1] : [-1];
      const flat = (tensor: tf.Tensor): tf.Tensor => tf.reshape(tensor, outer);
      const shown = condition.shape.length === 1 ? condition : flat(condition);
      return tf.reshape(original({ condition: shown, t: flat(t), e: flat(e) }), [...t.shape]);
    },
  );
}

function broadcast(a: tf.Tensor, b: tf.Tensor, original: OriginalKernel): tf.Tensor {
  const shape = tf.broadcast_util.assertAndGetBroadcastShape([...a.shape], [...b.shape]);
  const full = (given: Shape): Shape => [...Array<number>(shape.length - given.length).fill(1), ...given];
  const merged = mergedAxes(shape, full(a.shape), full(b.shape));
  const isLow = merged.length <= highestRank;
  const view = (tensor: tf.Tensor, side: "a" | "b"): tf.Tensor =>
    isLow
      ? tf.reshape(
          tensor,
          merged.map((axis) => axis[side]),
        )
      : tf.reshape(tf.broadcastTo(tensor, shape), [-1]);
  return tf.reshape(original({ a: view(a, "a"), b: view(b, "b") }), shape);
}

/** Returns the sizes of both tensors with neighboring axes as one where each tensor repeats along both or along neither. */
function mergedAxes(shape: Shape, a: Shape, b: Shape): readonly { readonly a: number; readonly b: number }[] {
  const merged: { a: number; b: number; kind: string }[] = [];
  shape.forEach((size, axis) => {
    if (size === 1) return;
    const [ofA, ofB] = [sizeAt(a, axis), sizeAt(b, axis)];
    const kind = `${ofA === size} ${ofB === size}`;
    const last = merged.at(-1);
    if (last?.kind === kind) {
      last.a *= ofA;
      last.b *= ofB;
    } else {
      merged.push({ a: ofA, b: ofB, kind });
    }
  });
  return merged;
}

/** Pads one axis after the other, each as the middle one of three. */
function padded(
  x: tf.Tensor,
  paddings: PadAttributes["paddings"],
  constantValue: number,
  original: OriginalKernel,
): tf.Tensor {
  const start = tf.reshape(x, [...x.shape]);
  return paddings.reduce<tf.Tensor>((tensor, [before, after], axis) => {
    if (before === 0 && after === 0) return tensor;
    const { shape } = tensor;
    const outer = shape.slice(0, axis).reduce((all, size) => all * size, 1);
    const three = tf.reshape(tensor, [outer, sizeAt(shape, axis), -1]);
    const sides = [
      [0, 0],
      [before, after],
      [0, 0],
    ];
    const wider = original({ x: three }, { paddings: sides, constantValue });
    return tf.reshape(wider, [
      ...shape.slice(0, axis),
      sizeAt(shape, axis) + before + after,
      ...shape.slice(axis + 1),
    ]);
  }, start);
}
