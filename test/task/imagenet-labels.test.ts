import { describe, expect, test } from "vitest";
import { publishedFile } from "../../src/architectures/architecture.ts";
import { hubArguments, withHubNetworks } from "../../src/architectures/hub/hub-models.ts";
import { architectureOf } from "../../src/architectures/known.ts";
import type { Checkpoint } from "../../src/checkpoint.ts";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { imagenetLabels, isImageNet } from "../../src/task/imagenet-labels.ts";
import { taskOf } from "../../src/task/task-of.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";
import { hubPath } from "../formats/hub/hub-fixtures.ts";
import { graphFixture } from "../topology/graph-fixtures.ts";

/** A network of keras.applications with its top for so many classes, without weights. */
function network(name: string, classes: number): Checkpoint {
  const modelConfig = architectureOf(name)?.build(publishedFile(classes)) ?? {};
  return { format: "keras", kerasVersion: "3.15.1", modelConfig, weights: new Map(), notes: {} };
}

/** One network of each family. */
const families = [
  ...["vgg16", "resnet50", "resnet50v2", "mobilenet", "mobilenetv2", "mobilenetv3small", "densenet121"],
  ...["inceptionv3", "inceptionresnetv2", "xception", "nasnetmobile", "efficientnetb0", "efficientnetv2b0"],
  "convnexttiny",
];

describe("ImageNet's labels", () => {
  test("are a thousand, and name the outputs of a network that has its own top", () => {
    expect(imagenetLabels).toHaveLength(1000);
    const [output] = taskOf(network("mobilenetv2", 1000)).outputs;
    expect(output?.labels).toBe(imagenetLabels);
  });

  test.each(families)("%s has them with 1000 classes, and with no other number", (name) => {
    expect(isImageNet(layerGraph(network(name, 1000)))).toBe(true);
    expect(isImageNet(layerGraph(network(name, 999)))).toBe(false);
  });

  test("a classifier of KerasHub with 1000 classes has them, and one with others has none", async () => {
    const { modelConfig, ...rest } = await readCheckpoint(hubPath("vit.keras"), { weights: false });
    const config = { ...hubArguments(modelConfig), num_classes: 1000 };
    const { kerashub_config: _config, ...entry } = modelConfig;
    const published = { ...rest, notes: {}, modelConfig: withHubNetworks({ ...entry, config }) };
    expect(taskOf(published).outputs[0]?.labels).toBe(imagenetLabels);
    expect(taskOf({ ...rest, notes: {}, modelConfig }).outputs[0]?.labels).toBeUndefined();
  });

  test("a network of Keras 2 has them too", () => {
    const { modelConfig, kerasVersion } = graphFixture("keras-2.15.0-ResNet50.json.gz", "ResNet50");
    expect(isImageNet(layerGraph({ modelConfig, kerasVersion }))).toBe(true);
  });

  test("a top that a run has added, and labels in the file, are the run's own", () => {
    const checkpoint = network("mobilenetv2", 1000);
    expect(isImageNet(layerGraph(checkpoint), ["predictions"])).toBe(false);
    const labels = imagenetLabels.toReversed();
    expect(taskOf({ ...checkpoint, notes: { labels } }).outputs[0]?.labels).toBe(labels);
  });

  test("folders of these names keep the top in its own order, others keep it in theirs with a warning", () => {
    const samples = (names: readonly string[]) => ({
      kind: "images" as const,
      classNames: names,
      samples: names.map((name, label) => ({ path: `${name}/1.jpg`, label, split: "train" as const })),
    });
    // Two names stand for two classes each, which no folders can.
    const checkpoint = network("mobilenetv2", 1000);
    const synsets = imagenetLabels.map((_, index) => `n${String(10_000_000 + index)}`);
    const other = taskOf(checkpoint, samples(synsets));
    expect(other.outputs[0]).toMatchObject({ head: "kept", labels: synsets });
    expect(other.warnings.join()).toMatch(/the file has no labels: it is kept/);
  });
});
