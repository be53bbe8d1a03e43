/**
 * Our part in `npm run test:onnx`, in a process of its own: `onnx-check.mjs NAME FOLDER` writes FOLDER/model.onnx of a network of
 * keras.applications with random weights, or of a model file, with the inputs and what we predict, and prints a line of JSON.
 */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { publishedFile } from "../dist/architectures/architecture.js";
import { withTextInput } from "../dist/architectures/hub/text-preprocessor.js";
import { architectureOf } from "../dist/architectures/known.js";
import { predict, readCheckpoint, useEngine, writeCheckpoint } from "../dist/index.js";
import { layerGraph } from "../dist/topology/build-graph.js";
import { weightSpecsOf } from "../dist/topology/weights-of.js";

const [name, folder] = process.argv.slice(2);
if (!process.env.KERAS_FINETUNE_ENGINE) useEngine("wasm");
let state = 7;
/** Returns a number that looks random, the same in every run. */
function between(low, high) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return low + ((high - low) * state) / 2 ** 32;
}

/** Activations mostly in their linear part, so that rounding does not grow from layer to layer as in untrained networks. */
function valuesOf({ name: weight, shape }, isOfLastNorm) {
  const count = shape.reduce((product, size) => product * size, 1);
  const fan = Math.max(
    1,
    shape.slice(0, -1).reduce((product, size) => product * size, 1),
  );
  const isDepthwise = /depthwise/.test(weight);
  const bound = Math.sqrt(3 / (isDepthwise ? shape[0] * shape[1] : fan));
  const draw =
    {
      gamma: () => between(0.3, 0.6),
      beta: () => between(0.5, 1) * (isOfLastNorm ? 2 : 1),
      moving_mean: () => between(-0.1, 0.1),
      moving_variance: () => between(0.5, 1.5),
      mean: () => between(100, 130),
      variance: () => between(2000, 4000),
      count: () => 0,
      bias: () => between(-0.1, 0.1),
    }[weight] ?? (() => between(-bound, bound));
  return Float32Array.from({ length: count }, draw);
}

function networkOf(architecture) {
  const bare = {
    format: "keras",
    kerasVersion: "3.15.1",
    modelConfig: architecture.build(publishedFile(1000)),
    weights: new Map(),
    notes: {},
  };
  const weights = new Map();
  for (const [path, specs] of weightSpecsOf(layerGraph(bare))) {
    const hasGamma = specs.some((spec) => spec.name === "gamma");
    weights.set(
      path,
      specs.map((spec) => ({
        name: spec.name,
        dtype: "float32",
        shape: spec.shape,
        data: valuesOf(spec, !hasGamma),
      })),
    );
  }
  return { ...bare, weights };
}

const architecture = architectureOf(name);
const checkpoint = architecture ? networkOf(architecture) : await readCheckpoint(name);
const size = /inception/i.test(name) ? 139 : 96;
const graph = layerGraph(checkpoint);
const [length] =
  withTextInput(checkpoint) === checkpoint
    ? [9]
    : [layerGraph(withTextInput(checkpoint)).nodes[1].outputs[0].shape[1]];
const hasPixels = graph.layers.some(({ className }) => ["Rescaling", "Normalization"].includes(className));
const inputs = graph.inputs.map(({ name: input, ref }) => {
  const { shape, dtype } = graph.nodes[ref.node].outputs[ref.output];
  const sizes = [2, ...shape.slice(1).map((side) => side ?? (shape.length === 4 ? size : length))];
  const count = sizes.reduce((product, side) => product * side, 1);
  const draw =
    dtype === "int32"
      ? (_, index) => (input === "token_ids" ? (index * 7) % 23 : index % 9 > 1 ? 1 : 0)
      : () => (hasPixels ? between(0, 255) : between(-1, 1));
  const data =
    dtype === "int32" ? Int32Array.from({ length: count }, draw) : Float32Array.from({ length: count }, draw);
  return [input, { dtype, shape: sizes, data }];
});
const path = join(folder, "model.onnx");
await writeCheckpoint(path, checkpoint, { imageSize: [size, size] });
const outputs = await predict(checkpoint, Object.fromEntries(inputs), { batchSize: 2 });
const saved = (tensors, prefix) =>
  tensors.map(({ dtype, shape, data }, index) => {
    writeFileSync(
      join(folder, `${prefix}-${index}.bin`),
      new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
    );
    return { dtype, shape };
  });
const parameters = [...checkpoint.weights.values()].flat().reduce((sum, { data }) => sum + data.length, 0);
console.log(
  JSON.stringify({
    parameters,
    inputs: saved(
      inputs.map(([, tensor]) => tensor),
      "input",
    ),
    names: inputs.map(([input]) => input),
    outputs: saved(outputs, "output"),
    written: existsSync(path),
  }),
);
