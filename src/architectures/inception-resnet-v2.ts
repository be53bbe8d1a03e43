import type { Architecture } from "./architecture.ts";
import { chain, type Step, stem, step } from "./inception-steps.ts";
import {
  activate,
  averageAll,
  channelsOf,
  classesIn,
  classify,
  concatenate,
  convolve,
  pool,
  sizeFor,
} from "./layers.ts";
import type { Network } from "./network.ts";
import { network } from "./network.ts";
import type { Output } from "./network-output.ts";

/** Inception-ResNet v2 (`keras/src/applications/inception_resnet_v2.py`). */
export const inceptionResnetsV2: readonly Architecture[] = [
  {
    name: "inceptionresnetv2",
    build: (file) => {
      const classes = classesIn(file);
      const net = network(sizeFor(classes, 299));
      let x = pool(net, "Max", stem(net), 3, { stride: 2 });
      x = stemEnd(net, x);
      for (let index = 1; index <= 10; index++) x = residual(net, x, "block35", index, 0.17);
      x = reduced(net, x, "mixed_6a", [
        [[384, 3, "reduce"]],
        [
          [256, 1],
          [256, 3],
          [384, 3, "reduce"],
        ],
      ]);
      for (let index = 1; index <= 20; index++) x = residual(net, x, "block17", index, 0.1);
      x = reduced(net, x, "mixed_7a", [
        [
          [256, 1],
          [384, 3, "reduce"],
        ],
        [
          [256, 1],
          [288, 3, "reduce"],
        ],
        [
          [256, 1],
          [288, 3],
          [320, 3, "reduce"],
        ],
      ]);
      for (let index = 1; index <= 9; index++) x = residual(net, x, "block8", index, 0.2);
      x = residual(net, x, "block8", 10, 1);
      x = step(net, x, [1536, 1], "conv_7b");
      if (classes === undefined) return net.model("inception_resnet_v2", x);
      return net.model("inception_resnet_v2", classify(net, averageAll(net, x, "avg_pool"), classes));
    },
  },
];

function stemEnd(net: Network, given: Output): Output {
  const branches = [
    chain(net, given, [96, 1]),
    chain(net, given, [48, 1], [64, 5]),
    chain(net, given, [64, 1], [96, 3], [96, 3]),
    chain(net, pool(net, "Average", given, 3, { stride: 1, padding: "same" }), [64, 1]),
  ];
  return concatenate(net, branches, 3, "mixed_5b");
}

function reduced(net: Network, given: Output, name: string, branches: readonly (readonly Step[])[]): Output {
  const outputs = branches.map((steps) => chain(net, given, ...steps));
  return concatenate(net, [...outputs, pool(net, "Max", given, 3, { stride: 2 })], 3, name);
}

type BlockKind = "block35" | "block17" | "block8";

/** Branches of each kind of residual block. */
const residualBranches: Readonly<Record<BlockKind, readonly (readonly Step[])[]>> = {
  block35: [
    [[32, 1]],
    [
      [32, 1],
      [32, 3],
    ],
    [
      [32, 1],
      [48, 3],
      [64, 3],
    ],
  ],
  block17: [
    [[192, 1]],
    [
      [128, 1],
      [160, [1, 7]],
      [192, [7, 1]],
    ],
  ],
  block8: [
    [[192, 1]],
    [
      [192, 1],
      [224, [1, 3]],
      [256, [3, 1]],
    ],
  ],
};

/** Adds a residual block whose branches are scaled down. The last block is neither scaled down nor activated. */
function residual(net: Network, given: Output, kind: BlockKind, index: number, scale: number): Output {
  const name = `${kind}_${index}`;
  const branches = residualBranches[kind].map((steps) => chain(net, given, ...steps));
  const mixed = concatenate(net, branches, 3, `${name}_mixed`);
  const up = convolve(net, mixed, channelsOf(given), 1, { padding: "same", name: `${name}_conv` });
  const x = net.layer("CustomScaleLayer", { scale }, [given, up]);
  return scale === 1 ? x : activate(net, x, "relu", `${name}_ac`);
}
