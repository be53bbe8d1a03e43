import { describe, expect, test } from "vitest";
import { formatBytes, formatCount, formatDuration, formatSeconds } from "../../src/freeze/number-text.ts";
import { partition } from "../../src/freeze/partition.ts";
import type { FinetunePlan, PlannedCost } from "../../src/freeze/plan.ts";
import { planFreeze } from "../../src/freeze/plan-freeze.ts";
import { planLines } from "../../src/freeze/plan-text.ts";
import type { FreezePolicy } from "../../src/freeze/policy.ts";
import { freeze, freezeUntil } from "../../src/freeze/policy.ts";
import type { FreezeOptions } from "../../src/freeze/resolve.ts";
import { resolveFreeze } from "../../src/freeze/resolve.ts";
import type { LayerGraph } from "../../src/topology/layer-graph.ts";
import { application, conv, dense, imageInput, layer, norm, pool, tinyGraph } from "./networks.ts";

function planOf(
  graph: LayerGraph,
  policies: FreezePolicy | readonly FreezePolicy[],
  options: FreezeOptions = {},
): FinetunePlan {
  const resolution = resolveFreeze(graph, policies, options);
  return planFreeze(graph, resolution, partition(graph, resolution));
}

const cost: PlannedCost = {
  multiplyAdds: { static: 1_736_491_008, dynamic: 2_121_482_240 },
  epochRatio: 0.55,
  extractionSeconds: 250,
  epochSeconds: 75,
  cacheBytes: 3670 * 1_605_632,
  cachePays: true,
  headCut: { tensor: "avg_pool", cacheBytes: 3670 * 8192 },
  stepBytes: 640e6,
  wholeStepBytes: 1.04e9,
  processBytes: 1.31e9,
};
const resnetPlan = planOf(application("ResNet50"), freezeUntil("conv4"));

describe("the text of a plan", () => {
  test("memory on a GPU is told apart", () => {
    const lines = planLines({ ...resnetPlan, cost: { ...cost, gpuBytes: 900e6 } }, {});
    expect(lines.find((line) => line.startsWith("memory"))).toMatch(
      /; the process 1.3 GB, 900 MB of it on the GPU$/,
    );
  });

  test("the text shows the model, the stages, the frontier and the cost", () => {
    const lines = planLines(
      { ...resnetPlan, cost },
      {
        model: "resnet50.h5",
        origin: "Keras 2.3 h5",
        preprocessing: "caffe (BGR, mean subtracted) [detected]",
        policy: "until conv4",
        newHead: { classes: 1000, parametersBefore: 2_049_000 },
        samples: 3670,
        cacheFolder: "~/.cache/keras-finetune",
        freeBytes: 61e9,
        batchSize: 32,
      },
    );
    expect(lines.join("\n")).toBe(
      `
model     resnet50.h5  (Keras 2.3 h5, 177 layers, 25.6M params)  preprocessing: caffe (BGR, mean subtracted) [detected]
freeze    until conv4  ->  first trainable layer: conv4_block1_1_conv (#81)
          stage  layers  params      trainable                BN
          conv1       6  9.7k        -                        inference
          conv2      32  220k        -                        inference
          conv3      42  1.2M        -                        inference
          conv4      62  7.1M        yes                      inference
          conv5      32  15.0M       yes                      inference
          head        2  2.0M->2.0M  yes (new, 1000 classes)  -
trainable params: 24,133,608 || all params: 25,636,712 || trainable%: 94.14
frontier  conv3_block4_out  28x28x512  (1 tensor)  f32 1.6 MB/image
cache     3,670 images x 1.6 MB = 5.9 GB in ~/.cache/keras-finetune   (free: 61.0 GB)     [cut at avg_pool: 30.1 MB]
cost      per epoch 55% of full training (predicted 1.8x), 1m15s; extraction once 4m10s
memory    a step of 32 images holds 640 MB instead of 1.0 GB; the process 1.3 GB
`.trim(),
    );
  });

  test("a speedup above a thousand is shown as over 1,000x", () => {
    const costLine = (epochRatio: number): string =>
      planLines({ ...resnetPlan, cost: { ...cost, epochRatio } }).find((line) => line.startsWith("cost"))!;
    expect(costLine(4.4e-7)).toContain("per epoch under 0.1% of full training (predicted over 1,000x)");
    expect(costLine(0.0012)).toContain("per epoch 0.1% of full training (predicted 833x)");
  });

  test("facts that are not given are left out", () => {
    const lines = planLines(resnetPlan);
    expect(lines[0]).toBe("freeze    first trainable layer: conv4_block1_1_conv (#81)");
    expect(lines.filter((line) => /^(model|cache|cost|memory) /.test(line))).toEqual([]);
  });

  test("each tensor of the frontier has a line", () => {
    const inside = planLines(planOf(application("ResNet50"), freezeUntil("conv4_block1_3_conv")));
    expect(inside.filter((line) => line.startsWith("frontier"))).toEqual([
      "frontier  conv4_block1_2_relu  14x14x256  (2 tensors)  f32 0.2 MB/image",
      "frontier  conv4_block1_0_conv  14x14x1024  (2 tensors)  f32 0.8 MB/image",
    ]);
    const halved = planLines(resnetPlan, { cacheDtype: "float16" });
    expect(halved.find((line) => line.startsWith("frontier"))).toMatch(/f16 0\.8 MB\/image$/);
  });

  test("a frontier that is the model's input is marked: nothing can be computed ahead", () => {
    const lines = planLines({ ...planOf(application("VGG16"), []), cost: { ...cost, cacheBytes: 0 } });
    expect(lines.find((line) => line.startsWith("frontier"))).toMatch(
      / 224x224x3 .* the model's input: nothing can be computed ahead$/,
    );
    expect(lines).toContain("cache     none");
  });

  test("a stage that trains in part shows how many layers train and their statistics", () => {
    const graph = tinyGraph([
      imageInput(),
      conv("block1_a"),
      norm("block1_bn"),
      conv("block1_b"),
      norm("block1_bn2"),
      pool(),
      dense("out"),
    ]);
    const rows = planLines(
      planOf(graph, [freeze("none"), freeze("block1_a,block1_bn")], { bnMode: "follow" }),
    );
    expect(rows.find((row) => row.includes("block1 "))).toMatch(
      /2 of 4 layers +inference \(1\), batch \(1\)$/,
    );
  });

  test("random layers in the static part are named as inactive", () => {
    const drop = layer("Dropout", "drop", { config: { rate: 0.5 } });
    const graph = tinyGraph([imageInput(), drop, conv("a"), pool(), dense("out")]);
    expect(planLines(planOf(graph, freezeUntil("out")))).toContain(
      "inactive  drop: in the frozen part, which runs as in inference",
    );
    expect(planLines(planOf(graph, [])).some((line) => line.startsWith("inactive"))).toBe(false);
  });

  test("a cache that does not pay is marked, and the last possible cut proposes no later one", () => {
    const lines = planLines({ ...resnetPlan, cost: { ...cost, cachePays: false } });
    expect(lines.find((line) => line.startsWith("cache"))).toContain(
      "reading it takes longer than computing it again",
    );
    const head = planLines({ ...planOf(application("ResNet50"), freezeUntil("head")), cost });
    expect(head.find((line) => line.startsWith("cache"))).not.toContain("[cut at");
  });
});

describe("formatted figures", () => {
  test.each<[number, string]>([
    [0, "0"],
    [999, "999"],
    [9728, "9.7k"],
    [99_949, "99.9k"],
    [99_950, "100k"],
    [999_949, "1000k"],
    [999_950, "1.0M"],
    [25_636_712, "25.6M"],
    [1.5e9, "1.5B"],
  ])("%i parameters are %s", (count, text) => {
    expect(formatCount(count)).toBe(text);
  });

  test.each<[number, string]>([
    [12, "12 B"],
    [8192, "8.2 kB"],
    [802_816, "0.8 MB"],
    [82e6, "82.0 MB"],
    [640e6, "640 MB"],
    [2.9e9, "2.9 GB"],
    [61e9, "61.0 GB"],
  ])("%i bytes are %s", (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  test.each<[number, string]>([
    [0, "0.0s"],
    [0.0042, "4ms"],
    [0.099, "99ms"],
    [0.42, "0.4s"],
  ])("a duration of %f seconds is %s", (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text);
  });

  test.each<[number, string]>([
    [0, "0.0s"],
    [0.42, "0.4s"],
    [9.94, "9.9s"],
    [9.96, "10s"],
    [59.6, "1m00s"],
    [250, "4m10s"],
    [3599.6, "1h00m"],
    [3900, "1h05m"],
  ])("%f seconds are %s", (seconds, text) => {
    expect(formatSeconds(seconds)).toBe(text);
  });
});
