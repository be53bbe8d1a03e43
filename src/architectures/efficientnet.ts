import type { Architecture, ArchitectureFile } from "./architecture.ts";
import {
  activated,
  addTo,
  efficientTop,
  exciteChannels,
  kernelInitializer,
  plainConvolution,
} from "./efficientnet-layers.ts";
import {
  channelsOf,
  classesIn,
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

/** EfficientNet networks (`keras/src/applications/efficientnet.py`). */
export const efficientnets: readonly Architecture[] = [
  efficientnet("b0", { width: 1, depth: 1, size: 224, dropRate: 0.2 }),
  efficientnet("b1", { width: 1, depth: 1.1, size: 240, dropRate: 0.2 }),
  efficientnet("b2", { width: 1.1, depth: 1.2, size: 260, dropRate: 0.3 }),
  efficientnet("b3", { width: 1.2, depth: 1.4, size: 300, dropRate: 0.3 }),
  efficientnet("b4", { width: 1.4, depth: 1.8, size: 380, dropRate: 0.4 }),
  efficientnet("b5", { width: 1.6, depth: 2.2, size: 456, dropRate: 0.4 }),
  efficientnet("b6", { width: 1.8, depth: 2.6, size: 528, dropRate: 0.5 }),
  efficientnet("b7", { width: 2, depth: 3.1, size: 600, dropRate: 0.5 }),
];

interface Published {
  readonly width: number;
  readonly depth: number;
  readonly size: number;
  readonly dropRate: number;
}

/**
 * A stage of B0: number of blocks, expansion of their inner channels, output filters, kernel size, stride of the first
 * block.
 */
type Stage = readonly [count: number, expansion: number, filters: number, size: number, stride: 1 | 2];

const stages: readonly Stage[] = [
  [1, 1, 16, 3, 1],
  [2, 6, 24, 3, 2],
  [2, 6, 40, 5, 2],
  [3, 6, 80, 3, 2],
  [3, 6, 112, 5, 1],
  [4, 6, 192, 5, 2],
  [1, 6, 320, 3, 1],
];

/** Share of the samples for which the last block is dropped in training. */
const lastDropRate = 0.2;
const bn = { axis: 3 };

function efficientnet(variant: string, { width, depth, size, dropRate }: Published): Architecture {
  const name = `efficientnet${variant}`;
  const wide = (filters: number): number => roundedChannels(filters * width);
  return {
    name,
    build: (file) => {
      const repeated = (count: number): number => Math.ceil(count * depth);
      const total = stages.reduce((sum, [count]) => sum + repeated(count), 0);
      const classes = classesIn(file);
      const net = network(sizeFor(classes, size));
      let x = prepared(net, file);
      x = pad(net, x, stridePadding(x, 3), "stem_conv_pad");
      x = plainConvolution(net, x, wide(32), 3, { stride: 2, name: "stem_conv" });
      x = activated(net, x, bn, "stem_");
      let done = 0;
      stages.forEach(([count, expansion, filters, kernel, stride], index) => {
        for (let at = 0; at < repeated(count); at++) {
          const each = {
            expansion,
            filters: wide(filters),
            size: kernel,
            stride: at === 0 ? stride : 1,
          } as const;
          const rate = (lastDropRate * done) / total;
          x = block(net, x, each, rate, `block${index + 1}${String.fromCharCode(97 + at)}_`);
          done += 1;
        }
      });
      x = plainConvolution(net, x, wide(1280), 1, { padding: "same", name: "top_conv" });
      x = activated(net, x, bn, "top_");
      return net.model(name, classes === undefined ? x : efficientTop(net, x, dropRate, classes));
    },
  };
}

const imageNet = { mean: 0.485, deviations: [0.229, 0.224, 0.225] };

/**
 * Adds the preprocessing layers. The ImageNet weights hold standard deviations in place of variances, for which a
 * second Rescaling compensates.
 */
function prepared(net: Network, file: ArchitectureFile): Output {
  let x = net.layer("Rescaling", { scale: 1 / 255 }, net.input);
  x = net.layer("Normalization", { axis: [3] }, x);
  const [red] = file.values("normalization", "mean") ?? [];
  if (red === undefined || Math.abs(red - imageNet.mean) > 1e-3) return x;
  const scale = imageNet.deviations.map((deviation) => 1 / Math.sqrt(deviation));
  return net.layer("Rescaling", { scale }, x);
}

interface Block {
  readonly expansion: number;
  readonly filters: number;
  readonly size: number;
  readonly stride: 1 | 2;
}

function block(net: Network, given: Output, of: Block, dropRate: number, name: string): Output {
  const { expansion, filters, size, stride } = of;
  const inputs = channelsOf(given);
  let x = given;
  if (expansion !== 1) {
    x = plainConvolution(net, x, inputs * expansion, 1, { padding: "same", name: `${name}expand_conv` });
    x = activated(net, x, bn, `${name}expand_`);
  }
  if (stride === 2) x = pad(net, x, stridePadding(x, size), `${name}dwconv_pad`);
  const padding = stride === 2 ? "valid" : "same";
  const options = { stride, padding, bias: false, initializer: kernelInitializer } as const;
  x = activated(net, convolveDepthwise(net, x, size, { ...options, name: `${name}dwconv` }), bn, name);
  x = exciteChannels(net, x, Math.max(1, Math.floor(inputs / 4)), name);
  x = plainConvolution(net, x, filters, 1, { padding: "same", name: `${name}project_conv` });
  x = normalize(net, x, bn, `${name}project_bn`);
  return stride === 1 && inputs === filters ? addTo(net, given, x, dropRate, name) : x;
}
