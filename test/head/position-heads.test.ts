/** Heads of models that tell something of each position, and of models with several outputs, on files of real Keras. */
import { expect, test } from "vitest";
import { replaceHead } from "../../src/head/replace-head.ts";
import type { Checkpoint, FinetuneResult, Tensor } from "../../src/index.ts";
import { arrayDataset, finetune, predict, readCheckpoint, taskOf } from "../../src/index.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";
import { layerAt, tensorAt } from "../../src/topology/layer-graph.ts";
import { folderWith } from "../data/answers.ts";
import { publicSituations, unpacked, writeSituation } from "../task/public-situations.ts";

async function modelOf(name: string): Promise<{ checkpoint: Checkpoint; inputs: Tensor }> {
  const situation = publicSituations.find((each) => each.name === name);
  if (!situation) throw new Error(name);
  const { model } = await writeSituation(situation, await folderWith());
  const inputs = unpacked(situation.arrays?.inputs ?? { shape: [0], dtype: "float32", base64: "" });
  return { checkpoint: await readCheckpoint(model), inputs: inputs as Tensor };
}

const tagger = "accuracy under a mask of padding";
const maps = "255 as void without being ignored";
const heads = "sample weights by output";

function outputShape(checkpoint: Checkpoint): readonly (number | null)[] {
  const graph = layerGraph(checkpoint);
  const [output] = graph.outputs;
  if (!output) throw new Error("no output");
  return tensorAt(graph, output.ref).shape ?? [];
}

/** Class indices below `classes`, all of which occur. */
function indices(classes: number, ...shape: number[]): Tensor {
  const length = shape.reduce((product, size) => product * size, 1);
  return { dtype: "int32", shape, data: Int32Array.from({ length }, (_, index) => (index * 7) % classes) };
}

function run(model: Checkpoint, inputs: Tensor, targets: Tensor, classes: number): Promise<FinetuneResult> {
  return finetune({
    classes,
    model,
    data: arrayDataset(inputs, targets),
    epochs: 1,
    cache: false,
    learningRate: 0.01,
  });
}

test("a tagger's TimeDistributed Dense is replaced in place", async () => {
  const { checkpoint } = await modelOf(tagger);
  const replaced = replaceHead(checkpoint, { classes: 5 });
  expect(outputShape(replaced)).toEqual([null, 6, 5]);
  expect(replaced.notes.newLayers).toEqual(["tag"]);
  expect(layerAt(layerGraph(replaced), "tag").className).toBe("TimeDistributed");
  expect(replaced.weights.get("tag")?.map(({ name, shape }) => [name, shape])).toEqual([
    ["layer/kernel", [6, 5]],
    ["layer/bias", [5]],
  ]);
  expect(replaced.weights.get("read")).toEqual(checkpoint.weights.get("read"));
});

test("a map's last convolution is replaced in place, with the activation that is asked for", async () => {
  const { checkpoint } = await modelOf(maps);
  const replaced = replaceHead(checkpoint, { units: 4, activation: "sigmoid" });
  expect(outputShape(replaced)).toEqual([null, 16, 16, 4]);
  expect(replaced.notes.newLayers).toEqual(["mask"]);
  const { className, config } = layerAt(layerGraph(replaced), "mask");
  expect([className, config["filters"], config["kernel_size"]]).toEqual(["Conv2D", 4, [1, 1]]);
  expect(taskOf(replaced).outputs[0]).toMatchObject({ kind: "labels", perPosition: true, units: 4 });
});

test.each([
  [tagger, "tag", 5],
  [maps, "mask", 4],
])("a run on %s gives its last layer as many classes as its targets have", async (name, layer, classes) => {
  const { checkpoint, inputs } = await modelOf(name);
  const positions = outputShape(checkpoint)
    .slice(1, -1)
    .flatMap((size) => size ?? []);
  const targets = indices(classes, inputs.shape[0] ?? 0, ...positions);
  const { checkpoint: tuned, history } = await run(checkpoint, inputs, targets, classes);
  expect(outputShape(tuned).at(-1)).toBe(classes);
  expect(tuned.notes.newLayers).toEqual([layer]);
  expect(history).toHaveLength(1);
  const [scores] = await predict(tuned, inputs);
  expect(scores?.shape).toEqual([...targets.shape, classes]);
});

test("two outputs are kept where they fit, and refused by name where one does not", async () => {
  const { checkpoint, inputs } = await modelOf(heads);
  const count = inputs.shape[0] ?? 0;
  const location: Tensor = { dtype: "float32", shape: [count, 1], data: new Float32Array(count).fill(0.5) };
  const fitting = [indices(2, count), location];
  const task = taskOf(checkpoint, arrayDataset(inputs, fitting));
  expect(task.outputs.map(({ name, head, kind }) => [name, head, kind])).toEqual([
    ["class", "kept", "classes"],
    ["location", "kept", "values"],
  ]);
  const { checkpoint: tuned } = await finetune({
    ...{ model: checkpoint, data: arrayDataset(inputs, fitting), epochs: 1, cache: false, freeze: [] },
  });
  expect(layerGraph(tuned).outputs).toHaveLength(2);
  const wide: Tensor = { dtype: "float32", shape: [count, 3], data: new Float32Array(3 * count) };
  await expect(
    finetune({
      model: checkpoint,
      data: arrayDataset(inputs, [indices(2, count), wide]),
      epochs: 1,
      cache: false,
    }),
  ).rejects.toThrow(/location/);
});
