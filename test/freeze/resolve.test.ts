import { describe, expect, test } from "vitest";
import { UsageError } from "../../src/errors.ts";
import type { FreezePolicy } from "../../src/freeze/policy.ts";
import {
  freeze,
  freezeAllButHead,
  freezeDepth,
  freezeThrough,
  freezeUntil,
  unfreeze,
} from "../../src/freeze/policy.ts";
import type { FreezeOptions } from "../../src/freeze/resolve.ts";
import { resolveFreeze } from "../../src/freeze/resolve.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";
import type { LayerGraph } from "../../src/topology/layer-graph.ts";
import { graphFixture } from "../topology/graph-fixtures.ts";
import { application, conv, dense, imageInput, layer, norm, pool, strided, tinyGraph } from "./networks.ts";

const resnet = application("ResNet50");
const oldResnet = application("ResNet50", "2.2.4");

type Policies = FreezePolicy | readonly FreezePolicy[] | undefined;

function frozenIn(graph: LayerGraph, policies: Policies, options: FreezeOptions = {}): string[] {
  const { frozen } = resolveFreeze(graph, policies, options);
  return graph.layers.map(({ path }) => path).filter((path) => frozen.has(path));
}

function failure(
  graph: LayerGraph,
  policies: Policies,
  options: FreezeOptions = {},
): { code: string; message: string } {
  try {
    resolveFreeze(graph, policies, options);
  } catch (error) {
    if (error instanceof UsageError) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error("nothing was refused");
}

const warningsOf = (graph: LayerGraph, policies: Policies, options: FreezeOptions = {}): readonly string[] =>
  resolveFreeze(graph, policies, options).warnings;

const small = tinyGraph([
  imageInput(),
  conv("conv1"),
  norm("bn1"),
  strided("conv2"),
  norm("bn2"),
  pool(),
  dense("out"),
]);

describe("position policies", () => {
  test("freezeUntil is exclusive: the named layer is the first to train", () => {
    const frozen = frozenIn(resnet, freezeUntil("conv4"));
    expect(frozen.at(-1)).toBe("conv3_block4_out");
    expect(frozen.length).toBe(resnet.layers.findIndex(({ path }) => path === "conv4_block1_1_conv"));
  });

  test("freezeThrough is inclusive: through conv3 equals until conv4", () => {
    expect(frozenIn(resnet, freezeThrough("conv3"))).toEqual(frozenIn(resnet, freezeUntil("conv4")));
    expect(frozenIn(oldResnet, freezeThrough("conv3"))).toEqual(frozenIn(oldResnet, freezeUntil("conv4")));
  });

  test("conv4, res4 and stage4 cut the old ResNet50 at the same layer", () => {
    const frozen = frozenIn(oldResnet, freezeUntil("conv4"));
    expect(oldResnet.layers[frozen.length]!.path).toBe("res4a_branch2a");
    expect(frozen).toEqual(frozenIn(oldResnet, freezeUntil("res4")));
    expect(frozen).toEqual(frozenIn(oldResnet, freezeUntil("stage4")));
  });

  test("a position policy overrides the trainable flags in the file on both sides", () => {
    const layers = [
      imageInput(),
      conv("a", { trainable: false }),
      conv("b"),
      conv("c", { trainable: false }),
      pool(),
    ];
    const graph = tinyGraph([...layers, dense("out", 3, { trainable: false })]);
    expect(frozenIn(graph, freezeUntil("b"))).toEqual(["image", "a"]);
  });

  test("freezeAllButHead trains the last layer with weights and the layers after it", () => {
    expect(frozenIn(small, freezeAllButHead())).toEqual(["image", "conv1", "bn1", "conv2", "bn2", "pool"]);
    const mobilenet = application("MobileNet");
    const head = mobilenet.layers.slice(-3).map(({ path }) => path);
    expect(frozenIn(mobilenet, freezeAllButHead())).toEqual(
      mobilenet.layers.map(({ path }) => path).filter((path) => !head.includes(path)),
    );
    expect(head[0]).toBe("conv_preds");
  });

  test("freezeAllButHead trains the new layers if there are any", () => {
    const frozen = frozenIn(small, freezeAllButHead(), { newLayers: ["conv2", "bn2", "out"] });
    expect(frozen).toEqual(["image", "conv1", "bn1", "pool"]);
  });

  test("freezeAllButHead is refused if several branches merge before the output", () => {
    const merged = tinyGraph([
      imageInput(),
      conv("a"),
      conv("b", { calls: [["a"]] }),
      layer("Add", "sum", { calls: [["a", "b"]] }),
    ]);
    expect(failure(merged, freezeAllButHead()).code).toBe("freeze-no-head");
  });

  test("freeze none and depth 0 train everything without a warning", () => {
    for (const policy of [freeze("none"), freezeDepth(0)]) {
      expect(frozenIn(small, policy)).toEqual([]);
      expect(warningsOf(small, policy)).toEqual([]);
    }
  });

  test.each<[string, readonly FreezePolicy[]]>([
    ['freezeUntil("conv2") and freezeDepth(2)', [freezeUntil("conv2"), freezeDepth(2)]],
    ['freezeUntil("conv2") and freezeUntil("bn1")', [freezeUntil("conv2"), freezeUntil("bn1")]],
    ['freezeThrough("bn1") and freezeAllButHead()', [freezeThrough("bn1"), freezeAllButHead()]],
    ['freeze("none") and freezeDepth(1)', [freeze("none"), freezeDepth(1)]],
  ])("%s exclude each other", (flags, policies) => {
    expect(failure(small, policies)).toEqual({
      code: "freeze-positions",
      message: `${flags}: expected one position to cut at, got 2. Keep one of them; freeze() and unfreeze() can be added to it.`,
    });
  });
});

describe("the default without a position policy", () => {
  const flagged = layerGraph(graphFixture("keras-3.15.1-nets.json.gz", "frozen nested models"));

  test("the default follows the trainable flags in the file, including those of nested models", () => {
    const frozen = frozenIn(flagged, undefined);
    expect(frozen).toEqual(flagged.layers.filter(({ trainable }) => !trainable).map(({ path }) => path));
    expect(frozen).toContain("frozen/norm");
    expect(frozen).toContain("open/shared");
    expect(resolveFreeze(flagged, undefined).summary).toBe(
      `the flags in the file (${frozen.length} of ${flagged.layers.length} layers frozen)`,
    );
  });

  test("the default freezes all but the head if the head is new", () => {
    const all = ["image", "conv1", "bn1", "conv2", "bn2", "pool"];
    expect(frozenIn(small, undefined, { newLayers: ["out"] })).toEqual(all);
    expect(resolveFreeze(small, undefined, { newLayers: ["out"] }).summary).toBe("the head is new");
  });

  test("the default follows the flags in the file if an earlier run made the head", () => {
    expect(frozenIn(small, undefined, { newLayers: ["out"], headIsNew: false })).toEqual([]);
  });

  test("an empty list freezes nothing", () => {
    expect(frozenIn(flagged, [])).toEqual([]);
    expect(frozenIn(small, [], { newLayers: ["out"] })).toEqual([]);
  });

  test("freeze and unfreeze policies change the default", () => {
    expect(frozenIn(small, freeze("conv1"), { newLayers: ["out"] }).length).toBe(6);
    expect(frozenIn(small, unfreeze("bn2"), { newLayers: ["out"] })).not.toContain("bn2");
    const before = frozenIn(flagged, undefined);
    expect(frozenIn(flagged, freeze("head"))).toEqual([...before, "head"]);
    expect(frozenIn(flagged, unfreeze("open/shared"))).toEqual(
      before.filter((path) => path !== "open/shared"),
    );
  });
});

describe("policies apply in a fixed order", () => {
  const policies = [freezeUntil("conv2"), freeze("out,bn2"), unfreeze("bn1,bn2")];
  const orders = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
  ];

  test.each(orders)("the order %i, %i, %i of the list does not matter", (...order) => {
    const list = order.map((index) => policies[index]!);
    const resolution = resolveFreeze(small, list);
    expect([...resolution.frozen].sort()).toEqual(["conv1", "image", "out"]);
    expect(resolution.summary).toBe(
      "until conv2, freeze out,bn2, unfreeze bn1,bn2".replaceAll("freeze ", "freeze "),
    );
  });

  test("the resolution names for each layer the rule that decided", () => {
    const { why } = resolveFreeze(small, policies, { bnMode: "follow" });
    expect(Object.fromEntries(why)).toEqual({
      image: 'freezeUntil("conv2")',
      conv1: 'freezeUntil("conv2")',
      bn1: 'unfreeze("bn1")',
      conv2: 'freezeUntil("conv2")',
      bn2: 'unfreeze("bn2")',
      pool: 'freezeUntil("conv2")',
      out: 'freeze("out")',
    });
  });
});

describe("a name that matches nothing", () => {
  test("a name that matches nothing is refused with suggestions, the stages and a hint to inspect", () => {
    expect(failure(resnet, freezeUntil("conv9"))).toEqual({
      code: "freeze-no-match",
      message: `freezeUntil("conv9"): no layer matches. Did you mean conv4, conv5? Stages: conv1 conv2 conv3 conv4 conv5 head. 'inspect' lists all 177 layers.`,
    });
  });

  test("a cut at nothing is told how to train everything", () => {
    expect(failure(resnet, freezeUntil("none")).message).toBe(
      `freezeUntil("none"): no layer matches. Stages: conv1 conv2 conv3 conv4 conv5 head. To train everything: freeze("none"). 'inspect' lists all 177 layers.`,
    );
  });

  test.each<[string, FreezePolicy, string]>([
    ["through", freezeThrough("conv5_blok2"), 'freezeThrough("conv5_blok2"): no layer matches. Did you mean'],
    ["freeze", freeze("conv1_conv,nothing"), 'freeze("nothing"): no layer matches. Stages:'],
    ["unfreeze", unfreeze("/nothing/"), 'unfreeze("/nothing/"): no layer matches. Stages:'],
    ["glob", freeze("*_batchnorm"), 'freeze("*_batchnorm"): no layer matches.'],
    ["part of a name", freezeUntil("block1_1"), 'freezeUntil("block1_1"): no layer matches.'],
  ])("a name that matches nothing is refused: %s", (_, policy, message) => {
    const { code, message: got } = failure(resnet, policy);
    expect(code).toBe("freeze-no-match");
    expect(got.startsWith(message)).toBe(true);
  });

  test("at most the two nearest layers are suggested for a typo", () => {
    expect(failure(resnet, freezeUntil("conv4_block1_1_cnv")).message).toContain(
      "Did you mean conv4_block1_1_conv, conv4_block1_1_bn?",
    );
    expect(failure(oldResnet, freeze("fc100")).message).toContain("Did you mean fc1000?");
  });
});

describe("everything frozen", () => {
  test.each<[string, FreezePolicy]>([
    ["through the last layer", freezeThrough("predictions")],
    ["by depth", freezeDepth(177)],
    ["by pattern", freeze("*")],
  ])("freezing everything %s is refused", (_, policy) => {
    expect(failure(resnet, policy)).toEqual({
      code: "freeze-all",
      message:
        "The policy freezes all 25,636,712 parameters; nothing is left to train. Add unfreeze() or a new head (classes).",
    });
  });

  test("flags in the file that freeze everything are refused", () => {
    const graph = tinyGraph([
      imageInput(),
      conv("a", { trainable: false }),
      pool(),
      dense("out", 3, { trainable: false }),
    ]);
    expect(failure(graph, undefined).message).toMatch(
      /^The flags in the file freeze all 127 parameters; nothing is left/,
    );
  });

  test("a BatchNormalization mode that freezes the last trainable layer is refused", () => {
    expect(failure(small, [freeze("*"), unfreeze("bn1")], { bnMode: "freeze" }).code).toBe("freeze-all");
    expect(frozenIn(small, freeze("*"), { bnMode: "train" })).toEqual([
      "image",
      "conv1",
      "conv2",
      "pool",
      "out",
    ]);
  });

  test("a model without weights is refused as such", () => {
    expect(failure(tinyGraph([imageInput(), pool()]), undefined).message).toBe(
      "net: expected weights to train, got a model without weights.",
    );
  });
});

describe("warnings", () => {
  test("a cut that freezes no parameters is warned of", () => {
    expect(warningsOf(resnet, freezeUntil("conv1_pad"))).toEqual([
      'freezeUntil("conv1_pad") freezes 0 parameters (it is the first layer).',
    ]);
    expect(warningsOf(resnet, freezeUntil("conv1_conv"))).toEqual([
      'freezeUntil("conv1_conv") freezes 0 parameters (no layer before it has any).',
    ]);
    expect(warningsOf(resnet, freezeThrough("conv1_pad"))).toHaveLength(1);
    expect(warningsOf(resnet, freezeDepth(2))).toEqual([
      "freezeDepth(2) freezes 0 parameters (no layer before it has any).",
    ]);
  });

  test("a pattern whose layers have no trainable weights is warned of", () => {
    expect(warningsOf(resnet, [freezeUntil("conv4"), unfreeze("*_relu,conv1_pad")])).toEqual([
      'unfreeze("*_relu") trains 0 parameters (the 33 layers it matches have no trainable weights).',
      'unfreeze("conv1_pad") trains 0 parameters (the layer it matches has no trainable weights).',
    ]);
  });

  test("a layer name that other names begin with is warned of", () => {
    const mobilenet = application("MobileNet");
    expect(warningsOf(mobilenet, freeze("conv1"))).toEqual([
      'freeze("conv1") matches only the layer conv1, not conv1_bn, conv1_relu. Write "conv1*" to match all of them.',
    ]);
    expect(warningsOf(mobilenet, freezeThrough("conv1"))).toEqual([
      'freezeThrough("conv1") matches only the layer conv1, not conv1_bn, conv1_relu. Write "conv1*" to match all of them.',
    ]);
    expect(warningsOf(mobilenet, freezeUntil("conv_pw_3"))).toEqual([]);
  });

  test("a name that occurs in several nested models is warned of", () => {
    const graph = layerGraph(graphFixture("keras-3.15.1-nets.json.gz", "nested three deep"));
    expect(warningsOf(graph, [freezeDepth(0), freeze("norm")])).toEqual([
      'freeze("norm") matches mid/low/norm, top/norm. Write the whole path to select one of them.',
    ]);
  });

  test("an unfreeze policy that the BatchNormalization mode overrides is warned of", () => {
    expect(warningsOf(small, [freezeUntil("conv2"), unfreeze("bn1")], { bnMode: "freeze" })).toEqual([
      'unfreeze("bn1") has no effect: bnMode: "freeze" freezes all pretrained BatchNormalization layers.',
    ]);
  });

  test("train mode warns that the cache is disabled, if anything is frozen", () => {
    const warning = 'bnMode: "train" changes frozen activations every step; the prefix cache is disabled.';
    expect(warningsOf(small, freezeUntil("conv2"), { bnMode: "train" })).toEqual([warning]);
    expect(warningsOf(small, [], { bnMode: "train" })).toEqual([]);
    const plain = tinyGraph([imageInput(), conv("a"), conv("b"), pool(), dense("out")]);
    expect(warningsOf(plain, freezeUntil("b"), { bnMode: "train" })).toEqual([]);
  });

  test("a cut between blocks has no warning", () => {
    for (const stage of ["conv2", "conv3", "conv4", "conv5", "head"]) {
      expect(warningsOf(resnet, freezeUntil(stage))).toEqual([]);
      expect(warningsOf(oldResnet, freezeUntil(stage))).toEqual([]);
    }
  });
});

describe("random layers in the frozen part", () => {
  const flip = layer("RandomFlip", "flip", { config: { mode: "horizontal" } });
  const drop = layer("Dropout", "drop", { config: { rate: 0.5 } });
  const graph = tinyGraph([imageInput(), flip, conv("a"), drop, conv("b"), pool(), dense("out")]);

  test("an augmentation layer before frozen layers is warned of", () => {
    expect(warningsOf(graph, freezeUntil("b"))).toEqual([
      "flip: stands before frozen layers and therefore does not augment images in training. To augment, ask for views (views: 4), or freeze nothing after it.",
    ]);
    expect(warningsOf(graph, freezeUntil("a"))).toEqual([
      'freezeUntil("a") freezes 0 parameters (no layer before it has any).',
    ]);
  });

  test("several random layers are named in one warning", () => {
    const turn = layer("RandomRotation", "turn", { config: { factor: 0.1 } });
    const rest = layer("Dropout", "rest", { config: { rate: 0.5 } });
    const several = tinyGraph([
      imageInput(),
      flip,
      turn,
      conv("a"),
      drop,
      rest,
      conv("b"),
      pool(),
      dense("out"),
    ]);
    expect(warningsOf(several, freezeUntil("out"), { bnMode: "follow" })).toEqual([
      "flip, turn: stand before frozen layers and therefore do not augment images in training. To augment, ask for views (views: 4), or freeze nothing after them.",
      "drop, rest: are in the frozen part and therefore inactive in training; Keras keeps them active if only trainable=False is set.",
    ]);
  });

  test("follow mode warns that Keras would keep Dropout active", () => {
    expect(warningsOf(graph, freezeUntil("out"), { bnMode: "follow" })[1]).toBe(
      "drop: is in the frozen part and therefore inactive in training; Keras keeps it active if only trainable=False is set.",
    );
    expect(warningsOf(graph, freezeUntil("out"))).toHaveLength(1);
  });
});
