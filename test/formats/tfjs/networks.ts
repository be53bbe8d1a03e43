/** Models that tfjs-layers makes and saves itself, of the layers that it has. */
import { mkdirSync, writeFileSync } from "node:fs";
import * as tfl from "@tensorflow/tfjs-layers";
import { tf } from "../../../src/engine/tf.ts";

type Build = () => tfl.LayersModel;

const { layers } = tfl;

/** The default is orthogonal, which asks for more of tfjs-core than is loaded here. */
const recurrentInitializer = "glorotUniform";

export const tfjsNetworks: Readonly<Record<string, Build>> = {
  images: () =>
    tfl.sequential({
      layers: [
        layers.conv2d({
          inputShape: [12, 10, 3],
          filters: 6,
          kernelSize: 3,
          padding: "same",
          activation: "relu",
        }),
        layers.batchNormalization({ axis: -1 }),
        layers.depthwiseConv2d({
          kernelSize: [3, 2],
          depthMultiplier: 2,
          strides: [2, 2],
          activation: "relu6",
        }),
        layers.leakyReLU({ alpha: 0.1 }),
        layers.zeroPadding2d({
          padding: [
            [1, 0],
            [2, 1],
          ],
        }),
        layers.separableConv2d({ filters: 5, kernelSize: 3, activation: "swish" }),
        layers.upSampling2d({ size: [2, 2] }),
        layers.conv2dTranspose({ filters: 4, kernelSize: 3, strides: 2, padding: "same" }),
        layers.cropping2D({
          cropping: [
            [1, 0],
            [0, 2],
          ],
        }),
        layers.maxPooling2d({ poolSize: 2 }),
        layers.averagePooling2d({ poolSize: 2, padding: "same" }),
        layers.dropout({ rate: 0.3 }),
        layers.globalAveragePooling2d({}),
        layers.dense({ units: 3, activation: "softmax" }),
      ],
    }),
  merged: () => {
    const input = tfl.input({ shape: [6, 4] });
    const inner = tfl.sequential({
      name: "inner",
      layers: [layers.dense({ inputShape: [6, 4], units: 4, activation: "hardSigmoid" }), layers.elu()],
    });
    const shared = layers.dense({ units: 4, activation: "selu", name: "shared_dense" });
    const parts = [
      shared.apply(input),
      shared.apply(inner.apply(input)),
      inner.apply(input),
    ] as tfl.SymbolicTensor[];
    const sum = layers.add().apply([parts[0]!, parts[1]!]) as tfl.SymbolicTensor;
    const most = layers
      .maximum()
      .apply([sum, layers.multiply().apply([parts[2]!, sum]) as tfl.SymbolicTensor]);
    const joined = layers.concatenate({ axis: -1 }).apply([most as tfl.SymbolicTensor, parts[2]!]);
    const shaped = layers.permute({ dims: [2, 1] }).apply(layers.layerNormalization().apply(joined));
    const flat = layers.flatten().apply(layers.prelu({ sharedAxes: [1] }).apply(shaped));
    const outputs = [
      layers.dense({ units: 2, activation: "softmax" }).apply(layers.reLU({ maxValue: 1.5 }).apply(flat)),
      layers.reshape({ targetShape: [12, 4] }).apply(layers.thresholdedReLU({ theta: 0.2 }).apply(flat)),
    ];
    return tfl.model({ inputs: input, outputs: outputs as tfl.SymbolicTensor[], name: "merged" });
  },
  sequences: () => {
    const input = tfl.input({ shape: [7], dtype: "int32" });
    const words = layers.embedding({ inputDim: 9, outputDim: 5 }).apply(input);
    const both = layers
      .bidirectional({
        layer: layers.lstm({ units: 3, recurrentInitializer, returnSequences: true }) as tfl.RNN,
        mergeMode: "concat",
      })
      .apply(words);
    const convolved = layers.conv1d({ filters: 4, kernelSize: 2, activation: "tanh" }).apply(both);
    const timed = layers.timeDistributed({ layer: layers.dense({ units: 3 }) }).apply(convolved);
    const stack = layers.rnn({
      cell: [
        layers.gruCell({ units: 3, recurrentInitializer }),
        layers.simpleRNNCell({ units: 2, recurrentInitializer }),
      ] as never,
      returnSequences: true,
    });
    const gated = layers.gru({ units: 3, recurrentInitializer, goBackwards: true }).apply(stack.apply(timed));
    const plain = layers
      .simpleRNN({ units: 2, recurrentInitializer })
      .apply(layers.repeatVector({ n: 3 }).apply(gated));
    return tfl.model({ inputs: input, outputs: plain as tfl.SymbolicTensor });
  },
  films: () =>
    tfl.sequential({
      layers: [
        layers.convLstm2d({
          inputShape: [3, 6, 5, 2],
          filters: 3,
          kernelSize: 2,
          padding: "same",
          recurrentInitializer,
        }),
        layers.globalMaxPooling2d({}),
      ],
    }),
  trained: () => {
    const model = tfl.sequential({
      layers: [
        layers.dense({
          inputShape: [5],
          units: 4,
          kernelInitializer: "leCunNormal",
          biasInitializer: "ones",
          kernelRegularizer: tfl.regularizers.l2({ l2: 0.01 }),
          biasRegularizer: tfl.regularizers.l1l2({ l1: 0.1, l2: 0.2 }),
          kernelConstraint: tfl.constraints.maxNorm({ maxValue: 2, axis: 0 }),
          activation: "softplus",
        }),
        layers.dense({ units: 2, kernelInitializer: "heUniform", trainable: false }),
      ],
    });
    model.compile({ optimizer: "adam", loss: "meanSquaredError" });
    return model;
  },
};

/** Two samples for the model; whole numbers where it takes them. */
export function inputsFor(model: tfl.LayersModel): tf.Tensor[] {
  return model.inputs.map(({ shape, dtype }) => {
    const known = [2, ...(shape.slice(1) as number[])];
    return dtype === "int32"
      ? tf.randomUniformInt(known, 1, 9, 3)
      : tf.randomUniform(known, -1, 1, "float32", 3);
  });
}

/** Moves every weight off what it was initialized with, then saves as tfjs-layers's own handler for files does. */
export async function saveByTfjs(model: tfl.LayersModel, folder: string): Promise<void> {
  model.setWeights(
    model.getWeights().map((weight) => tf.add(tf.abs(weight), tf.randomUniform(weight.shape, 0, 0.3))),
  );
  mkdirSync(folder);
  await model.save(
    tf.io.withSaveHandler(
      async ({ modelTopology, weightSpecs, weightData, format, generatedBy, convertedBy }) => {
        writeFileSync(`${folder}/weights.bin`, new Uint8Array(weightData as ArrayBuffer));
        const weightsManifest = [{ paths: ["./weights.bin"], weights: weightSpecs }];
        const json = { modelTopology, format, generatedBy, convertedBy, weightsManifest };
        writeFileSync(`${folder}/model.json`, JSON.stringify(json));
        return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: "JSON" } };
      },
    ),
  );
}
