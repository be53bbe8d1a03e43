import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { publishedFile } from "../../../src/architectures/architecture.ts";
import { architectureOf } from "../../../src/architectures/known.ts";
import type { Checkpoint, JsonObject, Weight } from "../../../src/checkpoint.ts";
import { readCheckpoint, writeCheckpoint } from "../../../src/formats/checkpoint-file.ts";
import { float32Tensor } from "../../../src/tensor.ts";
import { layerGraph } from "../../../src/topology/build-graph.ts";
import { weightSpecsOf } from "../../../src/topology/weights-of.ts";
import { scratch, writtenHdf5 } from "../../hdf5/temporary.ts";

/** A MobileNet of a quarter's width with that many classes, or without its top. */
function quarterMobileNet(classes: number | null): Checkpoint {
  const published = publishedFile(classes);
  const modelConfig = architectureOf("mobilenet")!.build({
    ...published,
    kernelShape: (layer) => (layer === "conv1" ? [3, 3, 3, 8] : published.kernelShape(layer)),
  });
  const kerasVersion = "3.15.1";
  let count = 0;
  const weights = [...weightSpecsOf(layerGraph({ modelConfig, kerasVersion }))].map(
    ([path, specs]): [string, readonly Weight[]] => [
      path,
      specs.map(({ name, shape }) => {
        const values = new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(count++);
        return { name, ...float32Tensor(values, shape) };
      }),
    ],
  );
  return { format: "keras", kerasVersion, modelConfig, weights: new Map(weights), notes: {} };
}

/** As Keras 2's `save_weights` leaves them. */
function savedWeights({ weights }: Checkpoint): Promise<string> {
  return writtenHdf5((writer) => {
    writer.textList("/", "layer_names", ["input_1", ...weights.keys()]);
    writer.group("/input_1");
    writer.textList("/input_1", "weight_names", []);
    for (const [layer, own] of weights) {
      const names = own.map(({ name }) => `${layer}/${name}:0`);
      writer.group(`/${layer}`);
      writer.textList(`/${layer}`, "weight_names", names);
      own.forEach((weight, index) => {
        writer.dataset(`/${layer}/${names[index]}`, weight);
      });
    }
  });
}

async function numberedWeights(checkpoint: Checkpoint): Promise<string> {
  const path = join(scratch(), "own.weights.h5");
  await writeCheckpoint(path, checkpoint);
  return path;
}

const files = [
  { kind: ".h5", write: savedWeights },
  { kind: ".weights.h5", write: numberedWeights },
];

it("a file of an unknown network with a nested model is refused with the count of all its weights", async () => {
  const whole = await readCheckpoint("fixtures/models/k212-nested-frozen-v3.keras");
  const count = [...whole.weights.values()].flat().length;
  await expect(readCheckpoint(await numberedWeights(whole))).rejects.toThrow(
    `Pass arch, the network that its ${count} weights belong to: the file of model.to_json()`,
  );
});

describe.each(files)("a weights-only $kind", ({ write }) => {
  it.each([7, null])("of a narrow network with %s classes is read as that network", async (classes) => {
    const whole = quarterMobileNet(classes);
    const alone = await readCheckpoint(await write(whole), { arch: "MobileNet" });
    expect(alone.modelConfig).toEqual(whole.modelConfig);
    expect(alone.weights).toEqual(whole.weights);
  });

  it("read without an architecture is refused with the name of the fitting one", async () => {
    const path = await write(quarterMobileNet(7));
    await expect(readCheckpoint(path)).rejects.toThrow(
      `${path} has weights but no model_config (saved with save_weights). Pass arch: "mobilenet" (recognised from its 55 weight groups).`,
    );
  });

  it("is refused for another network and for an unknown one", async () => {
    const path = await write(quarterMobileNet(7));
    await expect(readCheckpoint(path, { arch: "vgg16" })).rejects.toThrow(/do(?:es)? not fit/);
    await expect(readCheckpoint(path, { arch: "resnet51" })).rejects.toThrow(
      /^arch "resnet51": no such architecture\. Known: vgg16, vgg19, resnet50,/,
    );
  });
});

it("a file with one layer more than the network has is refused by the name of the layer's group", async () => {
  const network = quarterMobileNet(7);
  const config = network.modelConfig["config"] as JsonObject;
  const last = { shape: [null, 7], dtype: "float32", keras_history: ["predictions", 0, 0] };
  const extra: JsonObject = {
    module: "keras.layers",
    class_name: "Dense",
    name: "extra",
    config: { name: "extra", units: 1 },
    inbound_nodes: [{ args: [{ class_name: "__keras_tensor__", config: last }], kwargs: {} }],
  };
  const layers = [...(config["layers"] as readonly JsonObject[]), extra];
  const path = await numberedWeights({
    ...network,
    modelConfig: { ...network.modelConfig, config: { ...config, layers, output_layers: ["extra", 0, 0] } },
    weights: new Map([
      ...network.weights,
      [
        "extra",
        [
          { name: "kernel", ...float32Tensor(new Float32Array(7), [7, 1]) },
          { name: "bias", ...float32Tensor(new Float32Array(1), [1]) },
        ],
      ],
    ]),
  });
  await expect(readCheckpoint(path, { arch: "mobilenet" })).rejects.toThrow(
    /layers\/dense is in the file but not in the model/,
  );
});
