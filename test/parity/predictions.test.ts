import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Checkpoint } from "../../src/checkpoint.ts";
import { ensureEngine } from "../../src/engine/backend.ts";
import { readCheckpoint, writeCheckpoint } from "../../src/formats/checkpoint-file.ts";
import type { FreezePolicy } from "../../src/freeze/policy.ts";
import { freeze, freezeAllButHead, freezeUntil } from "../../src/freeze/policy.ts";
import { resolveFreeze } from "../../src/freeze/resolve.ts";
import { predict } from "../../src/inference/predict.ts";
import type { Tensor } from "../../src/tensor.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";
import { withTrainableFlags } from "../../src/topology/trainable-flags.ts";
import type { KerasWeights } from "./differences.ts";
import { relativeDifference, unequalWeights } from "./differences.ts";
import type { Keras } from "./keras.ts";
import { startKeras } from "./keras.ts";
import { measured } from "./measured.ts";

interface Network {
  readonly network: string;
  readonly freeze: FreezePolicy;
  /** What it is called where its weights come alone. */
  readonly arch?: string;
  /** What `networks.py` builds where WebAssembly has no room for the whole. */
  readonly onWasm?: Record<string, unknown>;
}

const networks: readonly Network[] = [
  { network: "resnet50", arch: "resnet50", freeze: freezeUntil("conv4") },
  { network: "mobilenet_v2", arch: "mobilenetv2", freeze: freezeUntil("block_13") },
  { network: "vgg16", freeze: freezeUntil("block5"), onWasm: { units: 128 } },
  { network: "densenet121", arch: "densenet121", freeze: freeze("conv3", "conv5_block1_0_bn") },
  { network: "transfer", freeze: freezeUntil("mobilenet_0.25_96/conv_pw_11") },
  { network: "nested", freeze: freeze("middle/deep", "side/bn") },
  { network: "shared", freeze: freezeAllButHead() },
];

let keras: Keras;
beforeAll(() => {
  keras = startKeras();
});
afterAll(() => keras.close());

describe.each(networks)("$network", ({ network, arch, freeze: policy, onWasm }) => {
  const at = (name: string): string => join(keras.folder, `${network}-${name}`);
  let checkpoint: Checkpoint;
  let answer: { inputs: Tensor[]; outputs: [Tensor] };
  beforeAll(async () => {
    const engine = await ensureEngine();
    const options = engine.name.startsWith("wasm") ? onWasm : undefined;
    const alone = arch ? [at("theirs.weights.h5")] : [];
    const paths = [at("theirs.keras"), at("theirs.h5"), ...alone];
    await keras.ask("make", { name: network, network, paths, logits: 2, ...(options && { options }) });
    answer = await keras.ask("predict", { name: network });
    checkpoint = await readCheckpoint(paths[0]!);
  });
  afterAll(() => keras.ask("forget", { name: network }));

  test("we predict what Keras predicts", async () => {
    const [ours] = await predict(checkpoint, answer.inputs);
    const apart = relativeDifference(ours!, answer.outputs[0]);
    measured(`predictions of ${network}`, apart);
    expect(apart).toBeLessThan(1e-5);
  });

  test("Keras's .keras and .h5 hold the same model for us, to the bit", async () => {
    const legacy = await readCheckpoint(at("theirs.h5"));
    const weights = await keras.ask<KerasWeights>("weights", { name: network });
    expect(unequalWeights(checkpoint, weights)).toEqual([]);
    expect(unequalWeights(legacy, weights)).toEqual([]);
    expect(layerGraph(legacy)).toEqual(layerGraph(checkpoint));
  });

  if (arch) {
    test("Keras's weights alone, with the network's name, predict the same to the bit", async () => {
      const [whole] = await predict(checkpoint, answer.inputs);
      const alone = await readCheckpoint(at("theirs.weights.h5"), { arch });
      expect(await predict(alone, answer.inputs)).toEqual([whole]);
    });
  }

  test.each(["keras", "h5"])("Keras opens our .%s, predicts the same and keeps trainable", async (ending) => {
    const { frozen } = resolveFreeze(layerGraph(checkpoint), policy, { bnMode: "inference", newLayers: [] });
    const path = at(`ours.${ending}`);
    await writeCheckpoint(path, withTrainableFlags(checkpoint, frozen));
    const { trainable } = await keras.ask<{ trainable: Record<string, boolean> }>("open", {
      name: "ours",
      path,
    });
    const { outputs } = await keras.ask<typeof answer>("predict", { name: "ours", inputs: answer.inputs });
    const weights = await keras.ask<KerasWeights>("weights", { name: "ours" });
    expect(relativeDifference(outputs[0], answer.outputs[0])).toBeLessThan(1e-6);
    expect(unequalWeights(checkpoint, weights)).toEqual([]);
    const kept = Object.keys(trainable).filter((layer) => !trainable[layer]);
    expect(kept.sort()).toEqual([...frozen].filter((layer) => layer in trainable).sort());
    expect(kept.length).toBeGreaterThan(0);
  });
});
