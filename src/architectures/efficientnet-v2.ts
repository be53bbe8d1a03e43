import type { Architecture } from "./architecture.ts";
import {
  activated,
  addTo,
  efficientTop,
  exciteChannels,
  kernelInitializer,
  plainConvolution,
} from "./efficientnet-layers.ts";
import { activate, channelsOf, classesIn, convolveDepthwise, normalize, sizeFor } from "./layers.ts";
import type { Network } from "./network.ts";
import { network } from "./network.ts";
import type { Output } from "./network-output.ts";

/**
 * A stage: number of blocks, expansion of their inner channels, output filters, stride of the first block, and kind.
 */
type Stage = readonly [
  count: number,
  expansion: number,
  filters: number,
  stride: 1 | 2,
  kind: "fused" | "plain",
];

const basic: readonly Stage[] = [
  [1, 1, 16, 1, "fused"],
  [2, 4, 32, 2, "fused"],
  [2, 4, 48, 2, "fused"],
  [3, 4, 96, 2, "plain"],
  [5, 6, 112, 1, "plain"],
  [8, 6, 192, 2, "plain"],
];

const small: readonly Stage[] = [
  [2, 1, 24, 1, "fused"],
  [4, 4, 48, 2, "fused"],
  [4, 4, 64, 2, "fused"],
  [6, 4, 128, 2, "plain"],
  [9, 6, 160, 1, "plain"],
  [15, 6, 256, 2, "plain"],
];

const medium: readonly Stage[] = [
  [3, 1, 24, 1, "fused"],
  [5, 4, 48, 2, "fused"],
  [5, 4, 80, 2, "fused"],
  [7, 4, 160, 2, "plain"],
  [14, 6, 176, 1, "plain"],
  [18, 6, 304, 2, "plain"],
  [5, 6, 512, 1, "plain"],
];

const large: readonly Stage[] = [
  [4, 1, 32, 1, "fused"],
  [7, 4, 64, 2, "fused"],
  [7, 4, 96, 2, "fused"],
  [10, 4, 192, 2, "plain"],
  [19, 6, 224, 1, "plain"],
  [25, 6, 384, 2, "plain"],
  [7, 6, 640, 1, "plain"],
];

/** EfficientNetV2 networks (`keras/src/applications/efficientnet_v2.py`). */
export const efficientnetsV2: readonly Architecture[] = [
  efficientnetV2("b0", basic, { width: 1, depth: 1, size: 224, stem: 32 }),
  efficientnetV2("b1", basic, { width: 1, depth: 1.1, size: 240, stem: 32 }),
  efficientnetV2("b2", basic, { width: 1.1, depth: 1.2, size: 260, stem: 32 }),
  efficientnetV2("b3", basic, { width: 1.2, depth: 1.4, size: 300, stem: 32 }),
  efficientnetV2("s", small, { width: 1, depth: 1, size: 384, stem: 24 }),
  efficientnetV2("m", medium, { width: 1, depth: 1, size: 480, stem: 24 }),
  efficientnetV2("l", large, { width: 1, depth: 1, size: 480, stem: 32 }),
];

interface Published {
  readonly width: number;
  readonly depth: number;
  readonly size: number;
  readonly stem: number;
}

/** Rate of dropped residual blocks, which grows to this value over the blocks of depth 1. */
const dropRate = 0.2;
const bn = { axis: 3, momentum: 0.9 };

function efficientnetV2(variant: string, stages: readonly Stage[], published: Published): Architecture {
  const { width, depth, size, stem } = published;
  const model = `efficientnetv2-${variant}`;
  const wide = (filters: number): number => Math.max(8, Math.floor((filters * width + 4) / 8) * 8);
  const total = stages.reduce((sum, [count]) => sum + count, 0);
  return {
    name: `efficientnetv2${variant}`,
    build: (file) => {
      const classes = classesIn(file);
      const net = network(sizeFor(classes, size));
      const first = { stride: 2, padding: "same", name: "stem_conv" } as const;
      let x = plainConvolution(net, prepared(net, variant), wide(stem), 3, first);
      x = activated(net, x, bn, "stem_");
      let done = 0;
      stages.forEach(([count, expansion, filters, stride, kind], index) => {
        for (let at = 0; at < Math.ceil(count * depth); at++) {
          const each = { expansion, filters: wide(filters), stride: at === 0 ? stride : 1 } as const;
          const name = `block${index + 1}${String.fromCharCode(97 + at)}_`;
          x = (kind === "fused" ? fusedBlock : block)(net, x, each, (dropRate * done) / total, name);
          done += 1;
        }
      });
      x = plainConvolution(net, x, wide(1280), 1, { padding: "same", name: "top_conv" });
      x = activated(net, x, bn, "top_");
      if (classes === undefined) return net.model(model, x);
      return net.model(model, efficientTop(net, x, 0.2, classes, { bias_initializer: zero }));
    },
  };
}

const zero = { class_name: "Constant", config: { value: 0 } };

function prepared(net: Network, variant: string): Output {
  if (!variant.startsWith("b")) return net.layer("Rescaling", { scale: 1 / 128, offset: -1 }, net.input);
  const x = net.layer("Rescaling", { scale: 1 / 255 }, net.input);
  const mean = [0.485, 0.456, 0.406];
  const variance = [0.229, 0.224, 0.225].map((deviation) => deviation ** 2);
  return net.layer("Normalization", { axis: [3], mean, variance }, x);
}

interface Block {
  readonly expansion: number;
  readonly filters: number;
  readonly stride: 1 | 2;
}

function block(net: Network, given: Output, of: Block, rate: number, name: string): Output {
  const { expansion, filters, stride } = of;
  const inputs = channelsOf(given);
  const same = { padding: "same" } as const;
  let x = plainConvolution(net, given, inputs * expansion, 1, { ...same, name: `${name}expand_conv` });
  x = activated(net, x, bn, `${name}expand_`);
  const depthwise = { ...same, stride, bias: false, initializer: kernelInitializer, name: `${name}dwconv2` };
  x = activated(net, convolveDepthwise(net, x, 3, depthwise), bn, name);
  x = exciteChannels(net, x, Math.max(1, Math.floor(inputs / 4)), name);
  x = plainConvolution(net, x, filters, 1, { ...same, name: `${name}project_conv` });
  x = normalize(net, x, bn, `${name}project_bn`);
  return stride === 1 && inputs === filters ? addTo(net, given, x, rate, name) : x;
}

/** Adds a fused block: one convolution replaces expansion and depthwise convolution, and nothing is squeezed. */
function fusedBlock(net: Network, given: Output, of: Block, rate: number, name: string): Output {
  const { expansion, filters, stride } = of;
  const inputs = channelsOf(given);
  let x = given;
  if (expansion !== 1) {
    const first = { padding: "same", stride, name: `${name}expand_conv` } as const;
    x = activated(net, plainConvolution(net, x, inputs * expansion, 3, first), bn, `${name}expand_`);
    x = plainConvolution(net, x, filters, 1, { padding: "same", name: `${name}project_conv` });
    x = normalize(net, x, bn, `${name}project_bn`);
  } else {
    x = plainConvolution(net, x, filters, 3, { padding: "same", stride, name: `${name}project_conv` });
    x = activate(net, normalize(net, x, bn, `${name}project_bn`), "silu", `${name}project_activation`);
  }
  return stride === 1 && inputs === filters ? addTo(net, given, x, rate, name) : x;
}
