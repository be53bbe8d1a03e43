import { beforeAll, expect, test } from "vitest";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import { tf } from "../../src/engine/tf.ts";
import { TopologyError } from "../../src/errors.ts";
import { wholeProgram } from "../../src/model/program.ts";
import { runProgram } from "../../src/model/run-program.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";
import { requireSupported } from "../../src/topology/support.ts";
import {
  type FunctionCase,
  type FunctionRecord,
  functionRecords,
  numbersOf,
  type PackedNumbers,
} from "./tensorflow-records.ts";

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});

/** Returns the outcome of a case: equal to Keras's output, a difference, or a refusal that names a layer. */
function fateOf(each: FunctionCase, { kerasVersion, inputs }: FunctionRecord): string {
  try {
    const graph = layerGraph({ modelConfig: each.modelConfig, kerasVersion });
    requireSupported(graph);
    return tf.tidy(() => {
      const feeds = graph.inputs.map(({ name }) => tensorOf(inputs[name]!));
      const [given] = runProgram(wholeProgram(graph), feeds, new Map());
      if (`${given!.shape}` !== `${each.output.shape}`) return `shape ${given!.shape}`;
      const expected = tensorOf(each.output);
      const largest = Math.max(1, ...tf.abs(expected).dataSync<"float32">());
      const gap = Math.max(...tf.abs(tf.sub(given!, expected)).dataSync<"float32">());
      return gap <= 2e-5 * largest ? "equal" : `apart by ${gap / largest}`;
    });
  } catch (error) {
    if (error instanceof TopologyError && /tf[._]/.test(error.message)) return "refused";
    throw error;
  }
}

function tensorOf(packed: PackedNumbers): tf.Tensor {
  const { shape, dtype, data } = numbersOf(packed);
  return tf.tensor(data as Float32Array | Int32Array, [...shape], dtype as PackedNumbers["dtype"]);
}

/** Functions that have no equivalent in Keras 3, or that lost an operand in the file. */
const refused = {
  functions: `gather by batch, gather_nd, one_hot of values, one_hot on axis, range of shape, reshape to shapes, broadcast_to,
    shape, boolean_mask, sequence_mask, not equal, segment, einsum, einsum with constant, diag,
    conv2d_transpose, lrn, resize area, resize by corners, resize as before, resize nearest as before, resize_with_pad,
    central_crop, per_image_standardization, K.switch`,
  nodes: `gather by batch, gather_nd, one_hot of values, one_hot on axis, repeat, where of zeros, range of shape,
    reshape to shapes, broadcast_to, shape, ones_like, boolean_mask, argsort, sort, spread, clip_by_norm,
    segment, tensordot, tensordot of axes, diag_part, diag, trace, conv2d_transpose, lrn, softmax_cross_entropy,
    sigmoid_cross_entropy, resize area, resize lanczos, resize antialiased, resize by corners, resize as before,
    resize nearest as before, rgb_to_grayscale, per_image_standardization, resize_images, K.batch_flatten, K.switch,
    K.binary_crossentropy`,
};

test.each(functionRecords())("%s: every function equals Keras or is refused by name", (name, record) => {
  const fates = record.cases.map((each) => [each.name, fateOf(each, record)] as const);
  expect(fates.filter(([, fate]) => fate !== "equal" && fate !== "refused")).toEqual([]);
  const own = (name.includes("nodes") ? refused.nodes : refused.functions).split(/,\s+/);
  // Keras 2.4 stores the batch size among the arguments of this function.
  if (name === "tensorflow-2.4.0") own.push("resize_images");
  const expected = own.filter((each) => record.cases.some((case_) => case_.name === each));
  expect(fates.filter(([, fate]) => fate === "refused").map(([each]) => each)).toEqual(
    record.cases.map((each) => each.name).filter((each) => expected.includes(each)),
  );
  expect(fates.length).toBeGreaterThan(170);
});
