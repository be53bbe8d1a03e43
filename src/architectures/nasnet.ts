import type { JsonObject } from "../checkpoint.ts";
import type { Architecture } from "./architecture.ts";
import {
  activate,
  add,
  averageAll,
  channelsOf,
  classesIn,
  classify,
  concatenate,
  convolve,
  convolveSeparably,
  normalize,
  pad,
  pool,
  stridePadding,
} from "./layers.ts";
import type { Network } from "./network.ts";
import { network } from "./network.ts";
import type { Output } from "./network-output.ts";

/** NASNet networks (`keras/src/applications/nasnet.py`). */
export const nasnets: readonly Architecture[] = [
  nasnet("nasnetmobile", {
    model: "nasnet_mobile",
    size: 224,
    filters: 44,
    cells: 4,
    stem: 32,
    skips: false,
  }),
  nasnet("nasnetlarge", { model: "nasnet_large", size: 331, filters: 168, cells: 6, stem: 96, skips: true }),
];

interface Published {
  readonly model: string;
  readonly size: number;
  /** Filters of the first cells. Each reduction doubles them. */
  readonly filters: number;
  /** Number of normal cells between reductions. */
  readonly cells: number;
  readonly stem: number;
  /** True if the cell after a reduction also reads the cell before the reduction's input. */
  readonly skips: boolean;
}

/** Inputs of a cell: the outputs of the cell before it and of the one before that. */
interface Pair {
  readonly last: Output;
  readonly before: Output | null;
}

function nasnet(name: string, { model, size, filters, cells, stem, skips }: Published): Architecture {
  return {
    name,
    build: (file) => {
      const classes = classesIn(file);
      // The size is fixed even without the top, because the cells depend on it.
      const net = network(size);
      const first = { stride: 2, bias: false, initializer: heNormal, name: "stem_conv1" } as const;
      const x = normalize(net, convolve(net, net.input, stem, 3, first), bn, "stem_bn1");
      let pair: Pair = { last: x, before: null };
      pair = reductionCell(net, pair, Math.floor(filters / 4), "stem_1");
      pair = reductionCell(net, pair, filters / 2, "stem_2");
      for (let group = 0; group < 3; group++) {
        const width = filters * 2 ** group;
        if (group > 0) {
          const reduced = reductionCell(net, pair, width, `reduce_${group * cells}`);
          pair = { last: reduced.last, before: skips ? pair.before : reduced.before };
        }
        for (let cell = 0; cell < cells; cell++) {
          pair = normalCell(net, pair, width, String(group * cells + cell + (group > 0 ? 1 : 0)));
        }
      }
      const end = activate(net, pair.last, "relu");
      if (classes === undefined) return net.model(model, end);
      return net.model(model, classify(net, averageAll(net, end), classes));
    },
  };
}

const bn = { momentum: 0.9997 };
const heNormal: JsonObject = { class_name: "HeNormal", config: { seed: null } };

function projected(net: Network, given: Output, filters: number, name: string): Output {
  return convolve(net, given, filters, 1, { padding: "same", bias: false, initializer: heNormal, name });
}

function squeezed(net: Network, given: Output, filters: number, kind: string, id: string): Output {
  const x = projected(net, activate(net, given, "relu"), filters, `${kind}_conv_1_${id}`);
  return normalize(net, x, bn, `${kind}_bn_1_${id}`);
}

/** Adapts the earlier input of a cell to the resolution and filters of the later one. */
function adjusted(net: Network, { last, before }: Pair, filters: number, id: string): Output {
  if (before === null) return last;
  if (before.shape[2] !== last.shape[2]) return halved(net, before, filters, id);
  if (channelsOf(before) === filters) return before;
  const x = projected(net, activate(net, before, "relu"), filters, `adjust_conv_projection_${id}`);
  return normalize(net, x, bn, `adjust_bn_${id}`);
}

/** Halves the resolution by sampling two interleaved grids of positions and concatenating them. */
function halved(net: Network, given: Output, filters: number, id: string): Output {
  const half = Math.floor(filters / 2);
  const sampled = (x: Output, path: number): Output => {
    const positions = pool(net, "Average", x, 1, { stride: 2, name: `adjust_avg_pool_${path}_${id}` });
    return projected(net, positions, half, `adjust_conv_${path}_${id}`);
  };
  const active = activate(net, given, "relu", `adjust_relu_1_${id}`);
  const first = sampled(active, 1);
  const padded = pad(net, active, [
    [0, 1],
    [0, 1],
  ]);
  const cropping = [
    [1, 0],
    [1, 0],
  ];
  const second = sampled(net.layer("Cropping2D", { cropping }, padded), 2);
  return normalize(net, concatenate(net, [first, second], -1), bn, `adjust_bn_${id}`);
}

/** Adds two separable convolutions, the first of them with the stride. */
function separables(
  net: Network,
  given: Output,
  filters: number,
  size: number,
  id: string,
  stride: 1 | 2 = 1,
): Output {
  let x = activate(net, given, "relu");
  if (stride === 2) x = pad(net, x, stridePadding(x, size), `separable_conv_1_pad_${id}`);
  const padding = stride === 2 ? "valid" : "same";
  x = convolveSeparably(net, x, filters, size, {
    stride,
    padding,
    bias: false,
    name: `separable_conv_1_${id}`,
  });
  x = activate(net, normalize(net, x, bn, `separable_conv_1_bn_${id}`), "relu");
  x = convolveSeparably(net, x, filters, size, {
    padding: "same",
    bias: false,
    name: `separable_conv_2_${id}`,
  });
  return normalize(net, x, bn, `separable_conv_2_bn_${id}`);
}

function normalCell(net: Network, pair: Pair, filters: number, id: string): Pair {
  const p = adjusted(net, pair, filters, id);
  const h = squeezed(net, pair.last, filters, "normal", id);
  const branch = (x: Output, size: number, place: string): Output =>
    separables(net, x, filters, size, `normal_${place}_${id}`);
  const averaged = (x: Output, place: string): Output =>
    pool(net, "Average", x, 3, { stride: 1, padding: "same", name: `normal_${place}_${id}` });
  const sum = (index: number, a: Output, b: Output): Output => add(net, [a, b], `normal_add_${index}_${id}`);
  const sums = [
    sum(1, branch(h, 5, "left1"), branch(p, 3, "right1")),
    sum(2, branch(p, 5, "left2"), branch(p, 3, "right2")),
    sum(3, averaged(h, "left3"), p),
    sum(4, averaged(p, "left4"), averaged(p, "right4")),
    sum(5, branch(h, 3, "left5"), h),
  ];
  return { last: concatenate(net, [p, ...sums], -1, `normal_concat_${id}`), before: pair.last };
}

function reductionCell(net: Network, pair: Pair, filters: number, id: string): Pair {
  const p = adjusted(net, pair, filters, id);
  const h = squeezed(net, pair.last, filters, "reduction", id);
  const padded = pad(net, h, stridePadding(h, 3), `reduction_pad_1_${id}`);
  const branch = (x: Output, size: number, place: string, stride: 1 | 2 = 2): Output =>
    separables(net, x, filters, size, `reduction_${place}_${id}`, stride);
  const pooled = (kind: "Max" | "Average", place: string): Output =>
    pool(net, kind, padded, 3, { stride: 2, name: `reduction_${place}_${id}` });
  const x1 = add(net, [branch(h, 5, "left1"), branch(p, 7, "right1")], `reduction_add_1_${id}`);
  const x2 = add(net, [pooled("Max", "left2"), branch(p, 7, "right2")], `reduction_add_2_${id}`);
  const x3 = add(net, [pooled("Average", "left3"), branch(p, 5, "right3")], `reduction_add3_${id}`);
  const smoothed = pool(net, "Average", x1, 3, { stride: 1, padding: "same", name: `reduction_left4_${id}` });
  const x4 = add(net, [x2, smoothed]);
  const x5 = add(net, [branch(x1, 3, "left4", 1), pooled("Max", "right5")], `reduction_add4_${id}`);
  return { last: concatenate(net, [x2, x3, x4, x5], -1, `reduction_concat_${id}`), before: pair.last };
}
