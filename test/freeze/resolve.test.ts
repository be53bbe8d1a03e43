import { describe, expect, it } from "vitest";
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
import { application, conv, dense, layer, norm, picture, pool, strided, tinyGraph } from "./networks.ts";

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
  picture(),
  conv("conv1"),
  norm("bn1"),
  strided("conv2"),
  norm("bn2"),
  pool(),
  dense("out"),
]);

describe("position policies", () => {
  it("until is exclusive: what it names is the first to train", () => {
    const frozen = frozenIn(resnet, freezeUntil("conv4"));
    expect(frozen.at(-1)).toBe("conv3_block4_out");
    expect(frozen.length).toBe(resnet.layers.findIndex(({ path }) => path === "conv4_block1_1_conv"));
  });

  it("through is inclusive: through conv3 is until conv4", () => {
    expect(frozenIn(resnet, freezeThrough("conv3"))).toEqual(frozenIn(resnet, freezeUntil("conv4")));
    expect(frozenIn(oldResnet, freezeThrough("conv3"))).toEqual(frozenIn(oldResnet, freezeUntil("conv4")));
  });

  it("cuts old names at the same place: before res4a", () => {
    const frozen = frozenIn(oldResnet, freezeUntil("conv4"));
    expect(oldResnet.layers[frozen.length]!.path).toBe("res4a_branch2a");
    expect(frozen).toEqual(frozenIn(oldResnet, freezeUntil("res4")));
    expect(frozen).toEqual(frozenIn(oldResnet, freezeUntil("stage4")));
  });

  it("sets both sides, whatever the file says", () => {
    const layers = [
      picture(),
      conv("a", { trainable: false }),
      conv("b"),
      conv("c", { trainable: false }),
      pool(),
    ];
    const graph = tinyGraph([...layers, dense("out", 3, { trainable: false })]);
    expect(frozenIn(graph, freezeUntil("b"))).toEqual(["picture", "a"]);
  });

  it("all but the head: the last weighted layer and what follows it", () => {
    expect(frozenIn(small, freezeAllButHead())).toEqual(["picture", "conv1", "bn1", "conv2", "bn2", "pool"]);
    const mobilenet = application("MobileNet");
    const head = mobilenet.layers.slice(-3).map(({ path }) => path);
    expect(frozenIn(mobilenet, freezeAllButHead())).toEqual(
      mobilenet.layers.map(({ path }) => path).filter((path) => !head.includes(path)),
    );
    expect(head[0]).toBe("conv_preds");
  });

  it("all but the head: the new layers, where there are any", () => {
    const frozen = frozenIn(small, freezeAllButHead(), { newLayers: ["conv2", "bn2", "out"] });
    expect(frozen).toEqual(["picture", "conv1", "bn1", "pool"]);
  });

  it("all but the head needs a weighted layer alone before the output", () => {
    const merged = tinyGraph([
      picture(),
      conv("a"),
      conv("b", { calls: [["a"]] }),
      layer("Add", "sum", { calls: [["a", "b"]] }),
    ]);
    expect(failure(merged, freezeAllButHead()).code).toBe("freeze-no-head");
  });

  it("freeze none and depth 0 train everything, silently", () => {
    for (const policy of [freeze("none"), freezeDepth(0)]) {
      expect(frozenIn(small, policy)).toEqual([]);
      expect(warningsOf(small, policy)).toEqual([]);
    }
  });

  it.each<[string, readonly FreezePolicy[]]>([
    ["--freeze-until conv2 and --freeze-depth 2", [freezeUntil("conv2"), freezeDepth(2)]],
    ["--freeze-until conv2 and --freeze-until bn1", [freezeUntil("conv2"), freezeUntil("bn1")]],
    ["--freeze-through bn1 and --freeze-all-but-head", [freezeThrough("bn1"), freezeAllButHead()]],
    ["--freeze none and --freeze-depth 1", [freeze("none"), freezeDepth(1)]],
  ])("refuses %s together", (flags, policies) => {
    expect(failure(small, policies)).toEqual({
      code: "freeze-positions",
      message: `${flags}: expected one place to cut, got 2. Keep one; --freeze and --unfreeze add to it.`,
    });
  });
});

describe("the start", () => {
  const flagged = layerGraph(graphFixture("keras-3.15.1-nets.json.gz", "frozen nested models"));

  it("is the flags in the file, containers' flags included", () => {
    const frozen = frozenIn(flagged, undefined);
    expect(frozen).toEqual(flagged.layers.filter(({ trainable }) => !trainable).map(({ path }) => path));
    expect(frozen).toContain("frozen/norm");
    expect(frozen).toContain("open/shared");
    expect(resolveFreeze(flagged, undefined).summary).toBe(
      `the flags in the file (${frozen.length} of ${flagged.layers.length} layers frozen)`,
    );
  });

  it("is all but the head where the head is new", () => {
    const all = ["picture", "conv1", "bn1", "conv2", "bn2", "pool"];
    expect(frozenIn(small, undefined, { newLayers: ["out"] })).toEqual(all);
    expect(resolveFreeze(small, undefined, { newLayers: ["out"] }).summary).toBe("the head is new");
  });

  it("is the flags in the file again where an earlier run made the head", () => {
    expect(frozenIn(small, undefined, { newLayers: ["out"], headIsNew: false })).toEqual([]);
  });

  it("is nothing for an empty list", () => {
    expect(frozenIn(flagged, [])).toEqual([]);
    expect(frozenIn(small, [], { newLayers: ["out"] })).toEqual([]);
  });

  it("is what freeze and unfreeze add to", () => {
    expect(frozenIn(small, freeze("conv1"), { newLayers: ["out"] }).length).toBe(6);
    expect(frozenIn(small, unfreeze("bn2"), { newLayers: ["out"] })).not.toContain("bn2");
    const before = frozenIn(flagged, undefined);
    expect(frozenIn(flagged, freeze("head"))).toEqual([...before, "head"]);
    expect(frozenIn(flagged, unfreeze("open/shared"))).toEqual(
      before.filter((path) => path !== "open/shared"),
    );
  });
});

describe("the order of application is fixed", () => {
  const policies = [freezeUntil("conv2"), freeze("out,bn2"), unfreeze("bn1,bn2")];
  const orders = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
  ];

  it.each(orders)("%i, %i, %i", (...order) => {
    const list = order.map((index) => policies[index]!);
    const resolution = resolveFreeze(small, list);
    expect([...resolution.frozen].sort()).toEqual(["conv1", "out", "picture"]);
    expect(resolution.summary).toBe(
      "until conv2, freeze out,bn2, unfreeze bn1,bn2".replaceAll("freeze ", "freeze "),
    );
  });

  it("says for each layer which rule decided", () => {
    const { why } = resolveFreeze(small, policies, { bnMode: "follow" });
    expect(Object.fromEntries(why)).toEqual({
      picture: "--freeze-until conv2",
      conv1: "--freeze-until conv2",
      bn1: "--unfreeze bn1",
      conv2: "--freeze-until conv2",
      bn2: "--unfreeze bn2",
      pool: "--freeze-until conv2",
      out: "--freeze out",
    });
  });
});

describe("a name that matches nothing", () => {
  it("is an error with suggestions, the stages and where to look", () => {
    expect(failure(resnet, freezeUntil("conv9"))).toEqual({
      code: "freeze-no-match",
      message: `--freeze-until "conv9": no layer matches. Did you mean conv4, conv5? Stages: conv1 conv2 conv3 conv4 conv5 head. 'inspect' lists all 177 layers.`,
    });
  });

  it.each<[string, FreezePolicy, string]>([
    [
      "through",
      freezeThrough("conv5_blok2"),
      '--freeze-through "conv5_blok2": no layer matches. Did you mean',
    ],
    ["freeze", freeze("conv1_conv,nothing"), '--freeze "nothing": no layer matches. Stages:'],
    ["unfreeze", unfreeze("/nothing/"), '--unfreeze "/nothing/": no layer matches. Stages:'],
    ["glob", freeze("*_batchnorm"), '--freeze "*_batchnorm": no layer matches.'],
    ["part of a name", freezeUntil("block1_1"), '--freeze-until "block1_1": no layer matches.'],
  ])("is an error for %s too", (_, policy, message) => {
    const { code, message: got } = failure(resnet, policy);
    expect(code).toBe("freeze-no-match");
    expect(got.startsWith(message)).toBe(true);
  });

  it("suggests a layer for a typo, the nearest two at most", () => {
    expect(failure(resnet, freezeUntil("conv4_block1_1_cnv")).message).toContain(
      "Did you mean conv4_block1_1_conv, conv4_block1_1_bn?",
    );
    expect(failure(oldResnet, freeze("fc100")).message).toContain("Did you mean fc1000?");
  });
});

describe("everything frozen", () => {
  it.each<[string, FreezePolicy]>([
    ["through the last layer", freezeThrough("predictions")],
    ["by depth", freezeDepth(177)],
    ["by pattern", freeze("*")],
  ])("is an error %s", (_, policy) => {
    expect(failure(resnet, policy)).toEqual({
      code: "freeze-all",
      message:
        "The policy freezes all 25,636,712 parameters; nothing is left to train. Add --unfreeze or a new head (--classes).",
    });
  });

  it("is an error where the file says so", () => {
    const graph = tinyGraph([
      picture(),
      conv("a", { trainable: false }),
      pool(),
      dense("out", 3, { trainable: false }),
    ]);
    expect(failure(graph, undefined).message).toMatch(
      /^The flags in the file freeze all 127 parameters; nothing is left/,
    );
  });

  it("is an error where the mode takes what was left", () => {
    expect(failure(small, [freeze("*"), unfreeze("bn1")], { bnMode: "freeze" }).code).toBe("freeze-all");
    expect(frozenIn(small, freeze("*"), { bnMode: "train" })).toEqual([
      "picture",
      "conv1",
      "conv2",
      "pool",
      "out",
    ]);
  });

  it("is not what a model without weights is", () => {
    expect(failure(tinyGraph([picture(), pool()]), undefined).message).toBe(
      "net: expected weights to train, got a model without any.",
    );
  });
});

describe("warnings", () => {
  it("says that a cut freezes nothing", () => {
    expect(warningsOf(resnet, freezeUntil("conv1_pad"))).toEqual([
      '--freeze-until "conv1_pad" freezes 0 parameters (it is the first layer).',
    ]);
    expect(warningsOf(resnet, freezeUntil("conv1_conv"))).toEqual([
      '--freeze-until "conv1_conv" freezes 0 parameters (no layer before it has any).',
    ]);
    expect(warningsOf(resnet, freezeThrough("conv1_pad"))).toHaveLength(1);
    expect(warningsOf(resnet, freezeDepth(2))).toEqual([
      "--freeze-depth 2 freezes 0 parameters (no layer before it has any).",
    ]);
  });

  it("says that a pattern has no weights behind it", () => {
    expect(warningsOf(resnet, [freezeUntil("conv4"), unfreeze("*_relu,conv1_pad")])).toEqual([
      '--unfreeze "*_relu" trains 0 parameters (its 33 layers have none that can train).',
      '--unfreeze "conv1_pad" trains 0 parameters (its layer has none that can train).',
    ]);
  });

  it("says that one name is meant where others begin with it", () => {
    const mobilenet = application("MobileNet");
    expect(warningsOf(mobilenet, freeze("conv1"))).toEqual([
      '--freeze "conv1" means the layer conv1 alone, not conv1_bn, conv1_relu. Write "conv1*" to mean all.',
    ]);
    expect(warningsOf(mobilenet, freezeThrough("conv1"))).toEqual([
      '--freeze-through "conv1" means the layer conv1 alone, not conv1_bn, conv1_relu. Write "conv1*" to mean all.',
    ]);
    expect(warningsOf(mobilenet, freezeUntil("conv_pw_3"))).toEqual([]);
  });

  it("says that a name is in several nested models", () => {
    const graph = layerGraph(graphFixture("keras-3.15.1-nets.json.gz", "nested three deep"));
    expect(warningsOf(graph, [freezeDepth(0), freeze("norm")])).toEqual([
      '--freeze "norm" matches mid/low/norm, top/norm. Write the path to mean one of them.',
    ]);
  });

  it("says that unfreeze cannot reach what the mode freezes", () => {
    expect(warningsOf(small, [freezeUntil("conv2"), unfreeze("bn1")], { bnMode: "freeze" })).toEqual([
      '--unfreeze "bn1" has no effect: --bn-mode freeze keeps all BatchNormalization fixed.',
    ]);
  });

  it("says that batch statistics everywhere leave nothing to cache", () => {
    const warning = "--bn-mode train changes frozen activations every step; the prefix cache is disabled.";
    expect(warningsOf(small, freezeUntil("conv2"), { bnMode: "train" })).toEqual([warning]);
    expect(warningsOf(small, [], { bnMode: "train" })).toEqual([]);
    const plain = tinyGraph([picture(), conv("a"), conv("b"), pool(), dense("out")]);
    expect(warningsOf(plain, freezeUntil("b"), { bnMode: "train" })).toEqual([]);
  });

  it("says nothing of a clean cut", () => {
    for (const stage of ["conv2", "conv3", "conv4", "conv5", "head"]) {
      expect(warningsOf(resnet, freezeUntil(stage))).toEqual([]);
      expect(warningsOf(oldResnet, freezeUntil(stage))).toEqual([]);
    }
  });
});

describe("random layers in the frozen part", () => {
  const flip = layer("RandomFlip", "flip", { config: { mode: "horizontal" } });
  const drop = layer("Dropout", "drop", { config: { rate: 0.5 } });
  const graph = tinyGraph([picture(), flip, conv("a"), drop, conv("b"), pool(), dense("out")]);

  it("warns that an augmentation is off", () => {
    expect(warningsOf(graph, freezeUntil("b"))).toEqual([
      "flip: before frozen layers, so it does not change the pictures in training. Freeze nothing behind it to augment.",
    ]);
    expect(warningsOf(graph, freezeUntil("a"))).toEqual([
      '--freeze-until "a" freezes 0 parameters (no layer before it has any).',
    ]);
  });

  it("speaks of several in the plural", () => {
    const turn = layer("RandomRotation", "turn", { config: { factor: 0.1 } });
    const rest = layer("Dropout", "rest", { config: { rate: 0.5 } });
    const several = tinyGraph([
      picture(),
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
      "flip, turn: before frozen layers, so they do not change the pictures in training. Freeze nothing behind them to augment.",
      "drop, rest: in the frozen part, so they drop nothing in training; with trainable=False alone Keras keeps them active.",
    ]);
  });

  it("notes under follow that Keras would keep Dropout active", () => {
    expect(warningsOf(graph, freezeUntil("out"), { bnMode: "follow" })[1]).toBe(
      "drop: in the frozen part, so it drops nothing in training; with trainable=False alone Keras keeps it active.",
    );
    expect(warningsOf(graph, freezeUntil("out"))).toHaveLength(1);
  });
});
