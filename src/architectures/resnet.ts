import type { Architecture, ArchitectureFile } from "./architecture.ts";
import {
  activate,
  add,
  averageAll,
  classesIn,
  classify,
  convolve,
  normalize,
  pad,
  pool,
  sizeFor,
} from "./layers.ts";
import type { Network } from "./network.ts";
import { network } from "./network.ts";
import type { Output } from "./network-output.ts";

/**
 * ResNet networks (`keras/src/applications/resnet.py`, `resnet_v2.py`). Version 2 normalizes and activates before each
 * convolution.
 */
export const resnets: readonly Architecture[] = [
  { ...resnet("resnet50", [3, 4, 6, 3]), formerNames: caffeNames },
  resnet("resnet101", [3, 4, 23, 3]),
  resnet("resnet152", [3, 8, 36, 3]),
  resnetV2("resnet50v2", [3, 4, 6, 3]),
  resnetV2("resnet101v2", [3, 4, 23, 3]),
  resnetV2("resnet152v2", [3, 8, 36, 3]),
];

const widths = [64, 128, 256, 512];

/**
 * Returns the name of a ResNet-50 layer before Keras 2.2.5, taken from Caffe: `conv4_block1_0_conv` was
 * `res4a_branch1`.
 */
function caffeNames(layer: string): readonly string[] {
  if (layer === "predictions") return ["fc1000"];
  if (layer === "conv1_conv") return ["conv1"];
  if (layer === "conv1_bn") return ["bn_conv1"];
  const [, stage, block, position, kind] = /^conv(\d)_block(\d)_(\d)_(conv|bn)$/.exec(layer) ?? [];
  if (stage === undefined) return [];
  const branch = ["1", "2a", "2b", "2c"][Number(position)];
  return [`${kind === "conv" ? "res" : "bn"}${stage}${"abcdef"[Number(block) - 1]}_branch${branch}`];
}

/** Returns the number of filters of a convolution in the file, or the published number if the file lacks it. */
type WidthOf = (layer: string, published: number) => number;

function resnet(name: string, blocks: readonly number[]): Architecture {
  return {
    name,
    build: (file) => {
      // The releases with Caffe's names used Keras's default epsilon.
      const bn = { axis: 3, ...(file.has("res5c_branch2c") ? {} : { epsilon: 1.001e-5 }) };
      return built(file, name, blocks, (net, widthOf) => ({
        stem: (x) => activate(net, normalize(net, x, bn, "conv1_bn"), "relu", "conv1_relu"),
        block: (x, at) => block(net, x, at, bn, widthOf),
        end: (x) => x,
      }));
    },
  };
}

function resnetV2(name: string, blocks: readonly number[]): Architecture {
  const bn = { axis: 3, epsilon: 1.001e-5 };
  return {
    name,
    build: (file) =>
      built(file, name, blocks, (net, widthOf) => ({
        stem: (x) => x,
        block: (x, at) => blockV2(net, x, at, bn, widthOf),
        end: (x) => activate(net, normalize(net, x, bn, "post_bn"), "relu", "post_relu"),
      })),
  };
}

interface BlockPlace {
  /** Name of the block: `conv4_block1`. */
  readonly name: string;
  readonly stage: number;
  readonly isFirst: boolean;
  readonly isLast: boolean;
}

/** Functions that add the parts in which the two versions differ. */
interface Parts {
  readonly stem: (given: Output) => Output;
  readonly block: (given: Output, at: BlockPlace) => Output;
  readonly end: (given: Output) => Output;
}

function built(
  file: ArchitectureFile,
  name: string,
  blocks: readonly number[],
  partsOf: (net: Network, widthOf: WidthOf) => Parts,
) {
  const classes = classesIn(file);
  const net = network(sizeFor(classes, 224));
  const widthOf: WidthOf = (layer, published) => file.kernelShape(layer)?.at(-1) ?? published;
  const parts = partsOf(net, widthOf);
  let x = pad(net, net.input, 3, "conv1_pad");
  x = parts.stem(convolve(net, x, widthOf("conv1_conv", 64), 7, { stride: 2, name: "conv1_conv" }));
  x = pad(net, x, 1, "pool1_pad");
  x = pool(net, "Max", x, 3, { stride: 2, name: "pool1_pool" });
  blocks.forEach((count, stage) => {
    for (let index = 1; index <= count; index++) {
      const at = {
        name: `conv${stage + 2}_block${index}`,
        stage,
        isFirst: index === 1,
        isLast: index === count,
      };
      x = parts.block(x, at);
    }
  });
  x = parts.end(x);
  if (classes === undefined) return net.model(name, x);
  return net.model(name, classify(net, averageAll(net, x, "avg_pool"), classes));
}

function block(
  net: Network,
  given: Output,
  { name, stage, isFirst }: BlockPlace,
  bn: { readonly axis: number },
  widthOf: WidthOf,
): Output {
  const filters = widthOf(`${name}_1_conv`, widths[stage] ?? 512);
  const stride = isFirst && stage > 0 ? 2 : 1;
  const normalized = (x: Output, part: number): Output => normalize(net, x, bn, `${name}_${part}_bn`);
  const conv = (x: Output, part: number, count: number, size: number, by: number): Output => {
    const padding = size === 1 ? "valid" : "same";
    return normalized(
      convolve(net, x, count, size, { stride: by, padding, name: `${name}_${part}_conv` }),
      part,
    );
  };
  const shortcut = isFirst ? conv(given, 0, 4 * filters, 1, stride) : given;
  let x = activate(net, conv(given, 1, filters, 1, stride), "relu", `${name}_1_relu`);
  x = activate(net, conv(x, 2, filters, 3, 1), "relu", `${name}_2_relu`);
  x = conv(x, 3, 4 * filters, 1, 1);
  return activate(net, add(net, [shortcut, x], `${name}_add`), "relu", `${name}_out`);
}

/** Adds a block of version 2. The last block of every stage except the last one has the stride. */
function blockV2(
  net: Network,
  given: Output,
  { name, stage, isFirst, isLast }: BlockPlace,
  bn: { readonly axis: number },
  widthOf: WidthOf,
): Output {
  const filters = widthOf(`${name}_1_conv`, widths[stage] ?? 512);
  const stride = isLast && stage < 3 ? 2 : 1;
  const normalized = (x: Output, part: string): Output =>
    activate(net, normalize(net, x, bn, `${name}_${part}_bn`), "relu", `${name}_${part}_relu`);
  const before = normalized(given, "preact");
  const shortcut = isFirst
    ? convolve(net, before, 4 * filters, 1, { stride, name: `${name}_0_conv` })
    : stride === 1
      ? given
      : pool(net, "Max", given, 1, { stride });
  let x = normalized(convolve(net, before, filters, 1, { bias: false, name: `${name}_1_conv` }), "1");
  x = pad(net, x, 1, `${name}_2_pad`);
  x = normalized(convolve(net, x, filters, 3, { stride, bias: false, name: `${name}_2_conv` }), "2");
  x = convolve(net, x, 4 * filters, 1, { name: `${name}_3_conv` });
  return add(net, [shortcut, x], `${name}_out`);
}
