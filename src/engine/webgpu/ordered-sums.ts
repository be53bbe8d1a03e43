/**
 * @file Sums that tfjs's shaders add up by atomic additions, in the order in which threads end. Here each sum has a fixed order, so
 * that a computation gives the same bits whenever it runs.
 */
import { tf } from "../tf.ts";
import type { ShaderProgram, WebgpuBackend } from "./gpu-types.ts";
import { replaceKernel } from "./replace-kernel.ts";

/** Largest number of parts that the inner axis of a product is split into, each of which takes a copy of the output. */
const mostParts = 32;

/** Makes the products whose inner axis is split write each part for itself, and adds the parts up afterwards. */
export function orderSplitProducts(backend: WebgpuBackend): void {
  const run = backend.runWebGPUProgram.bind(backend);
  backend.runWebGPUProgram = (program, inputs, dtype, uniforms, output) => {
    if (!program.shaderKey.startsWith("matMulSplitK_")) return run(program, inputs, dtype, uniforms, output);
    const [, rows = 0, columns = 0] = program.outputShape;
    const parts = run(inParts(program), inputs, dtype, uniforms);
    const count = program.outputShape[0] ?? 1;
    const size = rows * columns;
    const sums = run(sumOfParts(size), [parts], dtype, [{ type: "int32", data: [count] }], output);
    backend.disposeData(parts.dataId);
    return sums;
  };
}

/** Changes tfjs's program of a split product to write `[parts, rows, columns]`. */
function inParts(program: ShaderProgram): ShaderProgram {
  const source = program.getUserCode.bind(program);
  const [across = 1, down = 1, parts = 1] = program.dispatch ?? [];
  const joined = Math.ceil(parts / mostParts);
  const count = Math.ceil(parts / joined);
  program.splitedDimInner = joined * (program.splitedDimInner ?? 0);
  program.dispatch = [across, down, count];
  program.dispatchLayout = { x: [2], y: [1], z: [0] };
  program.outputShape = [count, ...program.outputShape.slice(1)];
  program.atomic = false;
  program.shaderKey += `_parts_${joined}`;
  program.getUserCode = () => {
    const own = source();
    const changed = own.replace(
      /(fn mm_write\(batch: i32, row : i32, col : i32, value : \S+\) \{)[\s\S]*?\n {6}\}\n/,
      `$1
        if (row < uniforms.dimAOuter && col < uniforms.dimBOuter) {
          setOutputAtCoords(i32(globalId.z), row, col, value);
        }
      }\n`,
    );
    if (changed === own) throw new Error(`webgpu: ${program.shaderKey}: a shader of an unknown form`);
    return changed;
  };
  return program;
}

/** Returns a program that adds up parts of `size` values each, which follow each other. */
function sumOfParts(size: number): ShaderProgram {
  return {
    ...program("orderedSumOfParts", ["x"], size),
    uniforms: "parts : i32,",
    getUserCode: () => `
      fn main(index : i32) {
        if (index < uniforms.size) {
          var total = x[index];
          for (var part = 1; part < uniforms.parts; part = part + 1) {
            total = total + x[part * uniforms.size + index];
          }
          result[index] = total;
        }
      }`,
  };
}

/** Replaces the kernels that add values up at places which tensors name. */
export function registerOrderedSums(): void {
  replaceKernel<{ x: tf.Tensor; segmentIds: tf.Tensor }, { numSegments: number }>(
    "UnsortedSegmentSum",
    ({ x, segmentIds }, { numSegments }) => segmentSums(x, segmentIds, [numSegments, ...x.shape.slice(1)]),
  );
  replaceKernel<{ indices: tf.Tensor; updates: tf.Tensor }, { shape: readonly number[] }>(
    "ScatterNd",
    ({ indices, updates }, { shape }) => {
      const depth = indices.shape.at(-1) ?? 0;
      const strides = shape.slice(0, depth).map((_, axis) => product(shape.slice(axis + 1, depth)));
      const places = tf.sum(tf.mul(tf.cast(indices, "int32"), tf.tensor1d(strides, "int32")), -1);
      return segmentSums(updates, places, shape);
    },
  );
}

/** Adds the rows of `x` to the rows of the result that `ids` names, in their order. Rows with an `id` out of range are dropped. */
function segmentSums(x: tf.Tensor, ids: tf.Tensor, shape: readonly number[]): tf.Tensor {
  const width = x.size / ids.size;
  const segments = product(shape) / width;
  if (!(width > 0 && segments > 0)) return tf.zeros([...shape], x.dtype as "float32");
  const sums = tf.cast(tf.fill([segments, width], 0), x.dtype);
  const uniforms = [ids.size, segments, width].map((value) => ({ type: "int32", data: [value] }));
  const addRows: ShaderProgram = {
    ...program("orderedSegmentSum", ["x", "ids"], width),
    uniforms: "rows : i32, segments : i32, width : i32,",
    getUserCode: () => `
      fn main(index : i32) {
        if (index < uniforms.width) {
          for (var row = 0; row < uniforms.rows; row = row + 1) {
            let segment = ids[row];
            if (segment >= 0 && segment < uniforms.segments) {
              let place = segment * uniforms.width + index;
              result[place] = result[place] + x[row * uniforms.width + index];
            }
          }
        }
      }`,
  };
  const backend = tf.backend() as WebgpuBackend;
  const rows = tf.reshape(x, [ids.size, width]);
  const flatIds = tf.reshape(tf.cast(ids, "int32"), [ids.size]);
  backend.runWebGPUProgram(addRows, [rows, flatIds], x.dtype, uniforms, sums);
  return tf.reshape(sums, [...shape]);
}

/** Returns what programs have in common that run one thread for each of `threads` values. */
function program(
  shaderKey: string,
  variableNames: readonly string[],
  threads: number,
): Omit<ShaderProgram, "getUserCode"> {
  return {
    shaderKey,
    variableNames,
    outputShape: [threads],
    workgroupSize: [64, 1, 1],
    dispatchLayout: { x: [0] },
    dispatch: [Math.ceil(threads / 64), 1, 1],
    size: true,
  };
}

function product(sizes: readonly number[]): number {
  return sizes.reduce((all, size) => all * size, 1);
}
