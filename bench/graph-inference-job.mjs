/**
 * A network's batches one by one and as a graph, in turn in one process: graph-inference-job.mjs MODEL SIDE ROWS ROUNDS. Prints JSON: medians of
 * wall and processor seconds of a batch, what its graph costs to make, and how much the convolutions and products of an image are.
 */
import { ensureEngine } from "../dist/engine/backend.js";
import { operationRecorder } from "../dist/engine/graph/recorded-operations.js";
import { nativeBackend } from "../dist/engine/native-engine.js";
import { tf } from "../dist/engine/tf.js";
import { readCheckpoint, useEngine } from "../dist/index.js";
import { inferenceProgram } from "../dist/model/inference-program.js";
import { graphTolerance, programRunner } from "../dist/model/program-runner.js";
import { runProgram, runWithMasks } from "../dist/model/run-program.js";
import { uploadWeights } from "../dist/model/uploads.js";
import { layerGraph } from "../dist/topology/build-graph.js";
import { inTurn, timed } from "./graph-timing.mjs";

const [model, side, batch, rounds] = process.argv.slice(2);
const rows = Number(batch);
useEngine("native");
await ensureEngine();
const checkpoint = await readCheckpoint(model);
const { program, weights, contextOf } = inferenceProgram(layerGraph(checkpoint), checkpoint.weights);
const uploaded = uploadWeights(weights, weights.keys());
const images = tf.randomUniform([rows, Number(side), Number(side), 3], -100, 100, "float32", 1);
const oneByOne = () => runProgram(program, [images], uploaded, contextOf);
const runnerOf = (tolerance) => {
  const runner = programRunner(program, contextOf, tolerance);
  const batchOfRunner = () => runner.run([images], uploaded).outputs;
  return { runner, batch: batchOfRunner };
};
/** Runs four batches, of which the last makes the graph, and returns the seconds of each. */
const warm = ({ batch: next }) => [1, 2, 3, 4].map(() => timed(next).seconds);

const exact = runnerOf(0);
const begun = warm(exact);
const sameBits = exact.runner.graphs === 1;
const told = runnerOf(graphTolerance);
if (!sameBits) warm(told);
const figures = inTurn({ oneByOne, graph: sameBits ? exact.batch : told.batch }, Number(rounds));
const flops = multiplyAdds() * 2;
const product = matrixProduct();
process.stdout.write(
  `\n${JSON.stringify({ ...figures, rows, sameBits, makesGraph: begun[3] - begun[2], flops: flops / rows, product })}\n`,
);

/** Returns the multiply-adds of convolutions and matrix products of a batch. */
function multiplyAdds() {
  const recorder = operationRecorder(nativeBackend());
  const given = [images, ...[...uploaded.values()].flatMap((layer) => Object.values(layer))];
  nativeBackend().getInputTensorIds(given);
  for (const [index, tensor] of given.entries()) recorder.give(tensor, `input${index}`);
  const { outputs } = recorder.within(() => runWithMasks(program, [images], uploaded, contextOf));
  tf.dispose(outputs);
  const count = (shape) => shape.reduce((product, size) => product * size, 1);
  return recorder.nodes.reduce((sum, { name, op, input }) => {
    const shapes = input.map((each) => recorder.shapeOf(each));
    const outputs = count(recorder.shapeOf(name));
    if (op === "_MklNativeConv2DWithBias" || op === "Conv2D") {
      const [height, width, channels] = shapes[1];
      return sum + outputs * height * width * channels;
    }
    if (op === "DepthwiseConv2dNative") return sum + outputs * shapes[1][0] * shapes[1][1];
    if (op === "MatMul" || op === "BatchMatMulV2") return sum + outputs * shapes[0].at(-1);
    return sum;
  }, 0);
}

/** Returns the operations a second of a large matrix product. */
function matrixProduct() {
  const size = 2048;
  const matrix = tf.randomNormal([size, size], 0, 1, "float32", 1);
  const { oneByOne: taken } = inTurn({ oneByOne: () => [tf.matMul(matrix, matrix)] }, 5);
  return (2 * size ** 3) / taken.seconds;
}
