import type { Architecture } from "./architecture.ts";
import {
  add,
  averageAll,
  channelsOf,
  classesIn,
  classify,
  convolve,
  convolveDepthwise,
  normalize,
  pad,
  roundedChannels,
  sizeFor,
  stridePadding,
} from "./layers.ts";
import type { Network } from "./network.ts";
import { network } from "./network.ts";
import type { Output } from "./network-output.ts";

/** MobileNetV2 (`keras/src/applications/mobilenet_v2.py`) with the width of the file. */
export const mobilenetsV2: readonly Architecture[] = [
  {
    name: "mobilenetv2",
    formerNames: (layer) => (layer === "predictions" ? ["Logits"] : []),
    build: (file) => {
      const classes = classesIn(file);
      const net = network(sizeFor(classes, 224));
      const width = widthOf(file.kernelShape("Conv1")?.at(-1), file.kernelShape("Conv_1")?.at(-1));
      const first = { stride: 2, padding: "same", bias: false, name: "Conv1" } as const;
      let x = convolve(net, net.input, roundedChannels(32 * width), 3, first);
      x = clipped(net, normalize(net, x, bn, "bn_Conv1"), "Conv1");
      blocks.forEach(([filters, stride], index) => {
        x = block(net, x, { filters: roundedChannels(Math.floor(filters * width)), stride, index });
      });
      const last = width > 1 ? roundedChannels(1280 * width) : 1280;
      x = convolve(net, x, last, 1, { bias: false, name: "Conv_1" });
      x = clipped(net, normalize(net, x, bn, "Conv_1_bn"), "out");
      const name = `mobilenetv2_${width.toFixed(2)}_224`;
      if (classes === undefined) return net.model(name, x);
      return net.model(name, classify(net, averageAll(net, x), classes));
    },
  },
];

const bn = { momentum: 0.999 };

/** Published width multipliers. Two of them have the same number of first filters. */
const publishedWidths = [0.35, 0.5, 0.75, 1, 1.3, 1.4];

function widthOf(first: number | undefined, last: number | undefined): number {
  const fits = (width: number): boolean =>
    roundedChannels(32 * width) === first && (width > 1 ? roundedChannels(1280 * width) : 1280) === last;
  return publishedWidths.find(fits) ?? (first ?? 32) / 32;
}

/** Filters and stride of each block. */
const blocks: readonly (readonly [number, 1 | 2])[] = [
  [16, 1],
  [24, 2],
  [24, 1],
  [32, 2],
  [32, 1],
  [32, 1],
  [64, 2],
  [64, 1],
  [64, 1],
  [64, 1],
  [96, 1],
  [96, 1],
  [96, 1],
  [160, 2],
  [160, 1],
  [160, 1],
  [320, 1],
];

interface Block {
  readonly filters: number;
  readonly stride: 1 | 2;
  readonly index: number;
}

function block(net: Network, given: Output, { filters, stride, index }: Block): Output {
  const name = index === 0 ? "expanded_conv" : `block_${index}`;
  let x = given;
  if (index > 0) {
    x = convolve(net, x, 6 * channelsOf(given), 1, { padding: "same", bias: false, name: `${name}_expand` });
    x = clipped(net, normalize(net, x, bn, `${name}_expand_BN`), `${name}_expand`);
  }
  if (stride === 2) x = pad(net, x, stridePadding(x, 3), `${name}_pad`);
  const padding = stride === 1 ? "same" : "valid";
  x = convolveDepthwise(net, x, 3, { stride, padding, bias: false, name: `${name}_depthwise` });
  x = clipped(net, normalize(net, x, bn, `${name}_depthwise_BN`), `${name}_depthwise`);
  x = convolve(net, x, filters, 1, { padding: "same", bias: false, name: `${name}_project` });
  x = normalize(net, x, bn, `${name}_project_BN`);
  return stride === 1 && channelsOf(given) === filters ? add(net, [given, x], `${name}_add`) : x;
}

function clipped(net: Network, given: Output, name: string): Output {
  return net.layer("ReLU", { max_value: 6 }, given, `${name}_relu`);
}
