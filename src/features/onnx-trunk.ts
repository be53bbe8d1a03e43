import { loadOnnxRuntime, type OnnxSession, type OnnxTensor } from "../engine/onnx-runtime.ts";
import { tf } from "../engine/tf.ts";
import { TopologyError } from "../errors.ts";
import { onnxKernels, onnxModel } from "../formats/onnx/onnx-model.ts";
import type { ContextOf } from "../model/run-program.ts";
import { inferenceContext } from "../model/run-program.ts";
import { tracedTwice } from "../model/trace-program.ts";
import type { WeightedProgram } from "./cache/trunk-key.ts";

/** The largest difference from the engine, by the largest value, with which ONNX Runtime takes its place. */
const tolerance = 1e-5;

/** The static part on ONNX Runtime. */
export interface OnnxTrunk {
  /** Returns one tensor for each frontier tensor. The caller owns inputs and outputs. */
  run(inputs: readonly tf.Tensor[]): Promise<tf.Tensor[]>;
  dispose(): void;
}

/**
 * Returns the static part on ONNX Runtime; null where it has no ONNX form, and where the two do not agree on the first samples of `inputs`.
 * @param compute Computes the static part on the engine.
 */
export async function openOnnxTrunk(
  part: WeightedProgram,
  inputs: readonly tf.Tensor[],
  threads: number,
  compute: (inputs: readonly tf.Tensor[]) => tf.Tensor[],
): Promise<OnnxTrunk | null> {
  // Texts are read into JavaScript, where no trace can follow.
  if (inputs.some(({ dtype }) => dtype !== "float32" && dtype !== "int32")) return null;
  const session = await openSession(part, inputs, threads);
  if (!session) return null;
  const trunk: OnnxTrunk = {
    run: async (feeds) => {
      const found = await session.run(await Promise.all(feeds.map(valuesOf)));
      return found.map(({ data, shape, dtype }) => tf.tensor(data, [...shape], dtype));
    },
    dispose: () => {
      void session.release();
    },
  };
  const some = firstRows(inputs, 2);
  const [expected, found] = [compute(some), await trunk.run(some)];
  const agrees = await Promise.all(expected.map((tensor, index) => isClose(tensor, found[index])));
  tf.dispose([...some, ...expected, ...found]);
  if (agrees.every(Boolean)) return trunk;
  trunk.dispose();
  return null;
}

async function openSession(
  { program, weights }: WeightedProgram,
  inputs: readonly tf.Tensor[],
  threads: number,
): Promise<OnnxSession | null> {
  const contextOf: ContextOf = (node, layer) => ({ ...inferenceContext(node, layer), isTraced: true });
  const named = inputs.map(({ dtype }, index) => {
    const declared = dtype === "int32" ? ("int32" as const) : ("float32" as const);
    return { name: `input_${index}`, declared };
  });
  const outputs = program.outputs.map((_, index) => `output_${index}`);
  const part = { name: "trunk", inputs: named, outputs, program, weights, contextOf };
  try {
    const traced = tracedTwice(part, onnxKernels, (samples) => firstRows(inputs, samples));
    return await loadOnnxRuntime().createSession(await onnxModel(traced), threads);
  } catch (error) {
    if (error instanceof TopologyError) return null;
    throw error;
  }
}

/** Returns the first rows of each tensor, repeated where it has fewer. */
function firstRows(inputs: readonly tf.Tensor[], rows: number): tf.Tensor[] {
  return inputs.map((input) =>
    tf.tidy(() => {
      const [has = 1, ...rest] = input.shape;
      const repeated = tf.tile(input, [Math.ceil(rows / has), ...rest.map(() => 1)]);
      return tf.slice(repeated, [0, ...rest.map(() => 0)], [rows, ...rest]);
    }),
  );
}

async function valuesOf(tensor: tf.Tensor): Promise<OnnxTensor> {
  const { shape } = tensor;
  const data = await tensor.data();
  if (data instanceof Int32Array) return { dtype: "int32", shape, data };
  return { dtype: "float32", shape, data: Float32Array.from(data) };
}

async function isClose(expected: tf.Tensor, found: tf.Tensor | undefined): Promise<boolean> {
  const [ours, theirs] = [Float32Array.from(await expected.data()), (await found?.data()) ?? []];
  if (ours.length !== theirs.length) return false;
  const largest = ours.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return ours.every((value, index) => Math.abs(value - (theirs[index] ?? 0)) <= tolerance * largest);
}
