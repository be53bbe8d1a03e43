/** @file Python's indexing of tensors with numbers, slices, `None` and `...`, as Keras 3 writes it into a graph. */
import { tf } from "../../engine/tf.ts";
import { TopologyError } from "../../errors.ts";
import { sizeAt } from "../../tensor.ts";
import { axisOf, contractAxis, everyNth } from "../axes.ts";
import type { KernelArgument } from "../kernel.ts";

interface Slice {
  readonly start: number | null;
  readonly stop: number | null;
  readonly step: number | null;
}

/** Computes `x[key]`. @throws {TopologyError} for a key that is a tensor or a mask. */
export function indexed(x: tf.Tensor, key: KernelArgument): tf.Tensor {
  const keys = completed(Array.isArray(key) ? key : [key], x.rank);
  let result = x;
  let axis = 0;
  for (const item of keys) {
    if (item === null) {
      result = tf.expandDims(result, axis);
      axis += 1;
    } else if (typeof item === "number") {
      const position = axisOf(item, sizeAt(result.shape, axis));
      result = tf.squeeze(everyNth(result, axis, position, 1, 1), [axis]);
    } else {
      result = sliced(result, axis, sliceOf(item));
      axis += 1;
    }
  }
  return result;
}

/** Takes the slices at given positions along an axis. */
export function taken(x: tf.Tensor, axis: number, positions: readonly number[]): tf.Tensor {
  const size = sizeAt(x.shape, axis);
  const rows = new Float32Array(positions.length * size);
  positions.forEach((position, row) => {
    rows[row * size + axisOf(position, size)] = 1;
  });
  return contractAxis(x, axis, tf.tensor2d(rows, [positions.length, size]));
}

/** Replaces the `...` of a key by slices. */
function completed(keys: readonly KernelArgument[], rank: number): KernelArgument[] {
  const whole: Slice = { start: null, stop: null, step: null };
  const missing = rank - keys.filter((key) => key !== null && !isEllipsis(key)).length;
  const rest = Array.from({ length: missing }, () => ({ class_name: "__slice__", config: { ...whole } }));
  const at = keys.findIndex(isEllipsis);
  return at < 0 ? [...keys, ...rest] : [...keys.slice(0, at), ...rest, ...keys.slice(at + 1)];
}

function isEllipsis(key: KernelArgument): boolean {
  return classOf(key) === "__ellipsis__";
}

function classOf(key: KernelArgument): unknown {
  const record = key as { readonly class_name?: unknown } | null;
  return typeof record === "object" ? record?.class_name : undefined;
}

function sliceOf(key: KernelArgument): Slice {
  if (classOf(key) === "__slice__") return (key as unknown as { readonly config: Slice }).config;
  throw new TopologyError(
    "GetItem: key: expected numbers, slices, None or an ellipsis, got something else. Index with ops.take.",
    "unsupported-layer",
  );
}

/** Slices an axis, with bounds clipped as in Python. */
function sliced(x: tf.Tensor, axis: number, { start, stop, step }: Slice): tf.Tensor {
  const size = sizeAt(x.shape, axis);
  const stride = step ?? 1;
  if (start === null && stop === null && stride === 1) return x;
  if (stride < 0) {
    const mirrored = (bound: number | null): number | null =>
      bound === null ? null : size - 1 - axisOf(bound, size);
    return sliced(tf.reverse(x, axis), axis, {
      start: mirrored(start),
      stop: mirrored(stop),
      step: -stride,
    });
  }
  const clipped = (bound: number): number => Math.min(Math.max(axisOf(bound, size), 0), size);
  const first = start === null ? 0 : clipped(start);
  const last = stop === null ? size : clipped(stop);
  return everyNth(x, axis, first, Math.max(0, Math.ceil((last - first) / stride)), stride);
}
