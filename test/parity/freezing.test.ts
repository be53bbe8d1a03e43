import { afterAll, beforeAll, describe, test } from "vitest";
import type { BatchNormMode, JsonObject } from "../../src/checkpoint.ts";
import type { Keras } from "./keras.ts";
import { startKeras } from "./keras.ts";
import { expectSameTraining } from "./training-case.ts";

let keras: Keras;
beforeAll(() => {
  keras = startKeras();
});
afterAll(() => keras.close());

const optimizer = { class_name: "SGD", config: { learning_rate: 0.05, momentum: 0.9, nesterov: true } };
const modes: readonly BatchNormMode[] = ["follow", "inference", "freeze", "train"];

/** Layers by network: the first, some in the middle, and all but the head. */
const cuts: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  residual: {
    nothing: [],
    first: ["stem", "stem_bn"],
    middle: ["block1_1", "block1_2_bn", "block2_1", "block2_1_bn"],
    "all but the last block": [
      ...["stem", "stem_bn", "block1_0", "block1_0_bn", "block1_1", "block1_1_bn", "block1_2", "block1_2_bn"],
    ],
  },
  depthwise: {
    nothing: [],
    first: ["expand", "expand_bn", "dw"],
    middle: ["dw", "dw_bn", "separable"],
    "all but the head": [...["expand", "expand_bn", "dw", "dw_bn", "project", "separable", "separable_bn"]],
  },
  nested: {
    nothing: [],
    first: ["middle/conv"],
    middle: ["middle/deep/deep_conv", "middle/deep/bn", "side/fc"],
    "all but the head": ["middle/conv", "middle/deep/deep_conv", "middle/deep/bn", "side/fc", "side/bn"],
  },
  shared: {
    nothing: [],
    middle: ["again"],
    inner: ["twice/conv"],
    "all but the head": ["again", "twice/conv"],
  },
};

describe.each(Object.entries(cuts))("%s", (network, places) => {
  const cases = Object.entries(places).flatMap(([where, frozen]) =>
    modes
      .filter((mode) => network !== "shared" || mode === "follow")
      .map((mode) => ({ where, frozen, mode })),
  );
  test.each(cases)("frozen $where, $mode: Keras's steps", async ({ frozen, mode }) => {
    await expectSameTraining(keras, { network, optimizer, frozen, bnMode: mode }, `${network}, ${mode}`);
  });
});

describe.each(["residual", "depthwise"])("BatchNormalization without scale or center in %s", (network) => {
  const parts: readonly JsonObject[] = [{ scale: false }, { center: false }, { scale: false, center: false }];
  test.each(parts)("%j", async (options) => {
    for (const bnMode of ["follow", "inference"] as const) {
      const frozen = network === "residual" ? ["stem", "stem_bn"] : ["dw_bn"];
      await expectSameTraining(keras, { network, options, optimizer, frozen, bnMode }, "BatchNorm parts");
    }
  });
});

describe("regularizers count where layers train", () => {
  const l2 = { class_name: "L2", config: { l2: 0.05 } };
  const cases: readonly (readonly [regularizer: JsonObject, network: string, frozen: readonly string[]])[] = [
    [l2, "chain", []],
    [l2, "chain", ["second"]],
    [l2, "residual", []],
    [l2, "residual", ["stem", "stem_bn", "block1_1", "block1_1_bn"]],
    [l2, "depthwise", ["dw"]],
    [l2, "depthwise", ["expand", "expand_bn", "separable"]],
    [{ class_name: "L1", config: { l1: 0.01 } }, "chain", ["first"]],
    [{ class_name: "L1", config: { l1: 0.01 } }, "depthwise", []],
    [{ class_name: "L1L2", config: { l1: 0.02, l2: 0.03 } }, "residual", ["block2_1"]],
  ];
  test.each(cases)("%j in %s, frozen %j", async (regularizer, network, frozen) => {
    for (const bnMode of ["follow", "inference"] as const) {
      const options = { regularizer };
      await expectSameTraining(keras, { network, options, optimizer, frozen, bnMode }, "regularizers");
    }
  });
});
