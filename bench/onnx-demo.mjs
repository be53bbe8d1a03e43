/**
 * The demo's tuned network in onnxruntime-node, for `npm run test:onnx`: `onnx-demo.mjs FOLDER` tunes the network of `npm run demo` for an
 * epoch, writes FOLDER/demo.onnx with its preprocessing inside, and compares what both say of the photos that it did not train on.
 */
import { createRequire } from "node:module";
import { join } from "node:path";
import { finetune, freezeUntil, imageFolder, loadImages, predict, writeCheckpoint } from "../dist/index.js";

const [folder] = process.argv.slice(2);
const ort = createRequire(import.meta.url)(process.env.ONNXRUNTIME_NODE ?? "onnxruntime-node");
const photos = await imageFolder("fixtures/demo/photos");
const { checkpoint } = await finetune({
  model: "fixtures/demo/efficientnet_lite0.keras",
  data: photos,
  freeze: freezeUntil("block7"),
  epochs: 1,
  batchSize: 8,
  seed: 1,
});
const path = join(folder, "demo.onnx");
await writeCheckpoint(path, checkpoint, { embedPreprocess: true });
const paths = photos.samples.filter(({ split }) => split !== "train").map((sample) => sample.path);
const { preprocess, imageSize } = checkpoint.notes;
const pixels = await loadImages(paths, { imageSize, preprocess: "none" });
const [ours] = await predict(checkpoint, await loadImages(paths, { imageSize, preprocess }));
const session = await ort.InferenceSession.create(path);
const input = new ort.Tensor("float32", pixels.data, pixels.shape);
const { [session.outputNames[0]]: theirs } = await session.run({ [session.inputNames[0]]: input });
const largest = Math.max(...ours.data.map(Math.abs));
const apart = Math.max(...ours.data.map((value, index) => Math.abs(value - theirs.data[index]))) / largest;
const parameters = [...checkpoint.weights.values()].flat().reduce((sum, { data }) => sum + data.length, 0);
console.log(JSON.stringify({ apart, parameters, photos: paths.length, runtime: ort.env.versions.node }));
