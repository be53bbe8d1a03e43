import type { Architecture } from "./architecture.ts";
import { chain, type Step, stem } from "./inception-steps.ts";
import { averageAll, classesIn, classify, concatenate, pool, sizeFor } from "./layers.ts";
import type { Network } from "./network.ts";
import { network } from "./network.ts";
import type { Output } from "./network-output.ts";

/** Inception v3 (`keras/src/applications/inception_v3.py`). Only blocks, pooling and the classifier are named. */
export const inceptionsV3: readonly Architecture[] = [
  {
    name: "inceptionv3",
    build: (file) => {
      const classes = classesIn(file);
      const net = network(sizeFor(classes, 299));
      let x = pool(net, "Max", stem(net), 3, { stride: 2 });
      [32, 64, 64].forEach((pooled, index) => {
        x = wide(net, x, pooled, `mixed${index}`);
      });
      x = reduced(
        net,
        x,
        "mixed3",
        [[384, 3, "reduce"]],
        [
          [64, 1],
          [96, 3],
          [96, 3, "reduce"],
        ],
      );
      [128, 160, 160, 192].forEach((filters, index) => {
        x = stretched(net, x, filters, `mixed${index + 4}`);
      });
      const rows = [
        [192, 1],
        [192, [1, 7]],
        [192, [7, 1]],
        [192, 3, "reduce"],
      ] as const;
      x = reduced(
        net,
        x,
        "mixed8",
        [
          [192, 1],
          [320, 3, "reduce"],
        ],
        rows,
      );
      for (const index of [0, 1]) x = forked(net, x, index);
      if (classes === undefined) return net.model("inception_v3", x);
      return net.model("inception_v3", classify(net, averageAll(net, x, "avg_pool"), classes));
    },
  },
];

function pooledBranch(net: Network, given: Output, filters: number): Output {
  return chain(net, pool(net, "Average", given, 3, { stride: 1, padding: "same" }), [filters, 1]);
}

function wide(net: Network, given: Output, pooled: number, name: string): Output {
  const branches = [
    chain(net, given, [64, 1]),
    chain(net, given, [48, 1], [64, 5]),
    chain(net, given, [64, 1], [96, 3], [96, 3]),
    pooledBranch(net, given, pooled),
  ];
  return concatenate(net, branches, 3, name);
}

/** Adds a block whose 7x7 convolutions are factored into 1x7 and 7x1. */
function stretched(net: Network, given: Output, filters: number, name: string): Output {
  const row: Step = [filters, [1, 7]];
  const column: Step = [filters, [7, 1]];
  const branches = [
    chain(net, given, [192, 1]),
    chain(net, given, [filters, 1], row, [192, [7, 1]]),
    chain(net, given, [filters, 1], column, row, column, [192, [1, 7]]),
    pooledBranch(net, given, 192),
  ];
  return concatenate(net, branches, 3, name);
}

function reduced(
  net: Network,
  given: Output,
  name: string,
  first: readonly Step[],
  second: readonly Step[],
): Output {
  const branches = [
    chain(net, given, ...first),
    chain(net, given, ...second),
    pool(net, "Max", given, 3, { stride: 2 }),
  ];
  return concatenate(net, branches, 3, name);
}

/** Adds a block whose branches end in a 1x3 beside a 3x1 convolution. */
function forked(net: Network, given: Output, index: number): Output {
  const fork = (x: Output, name?: string): Output =>
    concatenate(net, [chain(net, x, [384, [1, 3]]), chain(net, x, [384, [3, 1]])], 3, name);
  const branches = [
    chain(net, given, [320, 1]),
    fork(chain(net, given, [384, 1]), `mixed9_${index}`),
    fork(chain(net, given, [448, 1], [384, 3])),
    pooledBranch(net, given, 192),
  ];
  return concatenate(net, branches, 3, `mixed${9 + index}`);
}
