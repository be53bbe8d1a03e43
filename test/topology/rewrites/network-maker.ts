/** @file Small networks with the stages, names and strides of `keras/src/applications`. */
import type { JsonObject } from "../../../src/checkpoint.ts";
import type { LayerGraph, TensorRef } from "../../../src/topology/layer-graph.ts";
import type { GraphMaker } from "./graph-maker.ts";
import { graphMaker } from "./graph-maker.ts";

type Format = "channels_last" | "channels_first";

export interface NetworkOptions {
  /** Height and width of the input, null if unknown. */
  readonly size?: number | null;
  readonly format?: Format;
  readonly classes?: number;
}

interface Network {
  readonly g: GraphMaker;
  conv(name: string, x: TensorRef, config: JsonObject): TensorRef;
  depthwise(name: string, x: TensorRef, config: JsonObject): TensorRef;
  norm(name: string, x: TensorRef): TensorRef;
  relu(name: string, x: TensorRef): TensorRef;
  pad(name: string, x: TensorRef, margin: number): TensorRef;
  pool(name: string, className: string, x: TensorRef, config: JsonObject): TensorRef;
  image(): TensorRef;
  head(x: TensorRef): LayerGraph;
}

function network({ size = 64, format = "channels_last", classes = 5 }: NetworkOptions): Network {
  const g = graphMaker();
  const data_format = format;
  const channels = format === "channels_last" ? -1 : 1;
  return {
    g,
    conv: (name, x, config) => g.call(name, "Conv2D", { data_format, ...config }, x),
    depthwise: (name, x, config) => g.call(name, "DepthwiseConv2D", { data_format, ...config }, x),
    norm: (name, x) => g.call(name, "BatchNormalization", { axis: channels }, x),
    relu: (name, x) => g.call(name, "Activation", { activation: "relu" }, x),
    pad: (name, x, margin) => g.call(name, "ZeroPadding2D", { padding: margin, data_format }, x),
    pool: (name, className, x, config) => g.call(name, className, { data_format, ...config }, x),
    image: () => g.input(format === "channels_last" ? [null, size, size, 3] : [null, 3, size, size]),
    head: (x) => {
      const pooled = g.call("avg_pool", "GlobalAveragePooling2D", { data_format }, x);
      return g.finish(g.call("predictions", "Dense", { units: classes, activation: "softmax" }, pooled));
    },
  };
}

/** Builds ResNet V1 (`resnet.py`), whose stages begin with two strided 1x1 convolutions. */
export function resnetV1(
  options: NetworkOptions & { readonly blocks?: readonly number[]; readonly width?: number } = {},
): LayerGraph {
  const { blocks = [2, 2, 2, 2], width = 2 } = options;
  const n = network(options);
  let x = n.pad("conv1_pad", n.image(), 3);
  x = n.conv("conv1_conv", x, { filters: width, kernel_size: 7, strides: 2 });
  x = n.relu("conv1_relu", n.norm("conv1_bn", x));
  x = n.pool("pool1_pool", "MaxPooling2D", n.pad("pool1_pad", x, 1), { pool_size: 3, strides: 2 });
  blocks.forEach((count, stage) => {
    const filters = width * 2 ** stage;
    for (let block = 1; block <= count; block += 1) {
      const name = `conv${stage + 2}_block${block}`;
      const strides = block === 1 && stage > 0 ? 2 : 1;
      const convolved = (part: number, from: TensorRef, config: JsonObject): TensorRef =>
        n.norm(`${name}_${part}_bn`, n.conv(`${name}_${part}_conv`, from, config));
      const shortcut = block === 1 ? convolved(0, x, { filters: 4 * filters, kernel_size: 1, strides }) : x;
      let y = n.relu(`${name}_1_relu`, convolved(1, x, { filters, kernel_size: 1, strides }));
      y = n.relu(`${name}_2_relu`, convolved(2, y, { filters, kernel_size: 3, padding: "same" }));
      y = convolved(3, y, { filters: 4 * filters, kernel_size: 1 });
      x = n.relu(`${name}_out`, n.g.call(`${name}_add`, "Add", {}, shortcut, y));
    }
  });
  return n.head(x);
}

/** Builds ResNet V2 (`resnet.py`), whose stages end with a strided padded 3x3 convolution beside a pool of size 1. */
export function resnetV2(options: NetworkOptions = {}): LayerGraph {
  const n = network(options);
  let x = n.conv("conv1_conv", n.pad("conv1_pad", n.image(), 3), { filters: 4, kernel_size: 7, strides: 2 });
  [2, 4].forEach((filters, stage) => {
    for (const block of [1, 2]) {
      const name = `conv${stage + 2}_block${block}`;
      const strides = block === 2 && stage === 0 ? 2 : 1;
      const before = n.relu(`${name}_preact_relu`, n.norm(`${name}_preact_bn`, x));
      const pooled = { pool_size: 1, strides };
      const shortcut =
        block === 1
          ? n.conv(`${name}_0_conv`, before, { filters: 4 * filters, kernel_size: 1, strides })
          : strides === 1
            ? x
            : n.pool(`${name}_pool`, "MaxPooling2D", x, pooled);
      let y = n.conv(`${name}_1_conv`, before, { filters, kernel_size: 1, use_bias: false });
      y = n.pad(`${name}_2_pad`, n.relu(`${name}_1_relu`, n.norm(`${name}_1_bn`, y)), 1);
      y = n.conv(`${name}_2_conv`, y, { filters, kernel_size: 3, strides, use_bias: false });
      y = n.relu(`${name}_2_relu`, n.norm(`${name}_2_bn`, y));
      y = n.conv(`${name}_3_conv`, y, { filters: 4 * filters, kernel_size: 1 });
      x = n.g.call(`${name}_out`, "Add", {}, shortcut, y);
    }
  });
  return n.head(n.relu("post_relu", n.norm("post_bn", x)));
}

/** Builds MobileNet V2 (`mobilenet_v2.py`), whose strided depthwise convolutions read every position. */
export function mobilenetV2(options: NetworkOptions = {}): LayerGraph {
  const n = network(options);
  let x = n.conv("Conv1", n.image(), {
    filters: 4,
    kernel_size: 3,
    strides: 2,
    padding: "same",
    use_bias: false,
  });
  x = n.g.call("Conv1_relu", "ReLU", { max_value: 6 }, n.norm("bn_Conv1", x));
  for (const [block, strides] of [1, 2, 1, 2].entries()) {
    const name = `block_${block}`;
    let y = n.conv(`${name}_expand`, x, { filters: 12, kernel_size: 1, padding: "same", use_bias: false });
    y = n.g.call(`${name}_expand_relu`, "ReLU", { max_value: 6 }, n.norm(`${name}_expand_BN`, y));
    const padded = strides === 2 ? n.pad(`${name}_pad`, y, 1) : y;
    const padding = strides === 2 ? "valid" : "same";
    y = n.depthwise(`${name}_depthwise`, padded, { kernel_size: 3, strides, padding, use_bias: false });
    y = n.g.call(`${name}_depthwise_relu`, "ReLU", { max_value: 6 }, n.norm(`${name}_depthwise_BN`, y));
    y = n.conv(`${name}_project`, y, { filters: 4, kernel_size: 1, padding: "same", use_bias: false });
    y = n.norm(`${name}_project_BN`, y);
    x = strides === 1 ? n.g.call(`${name}_add`, "Add", {}, x, y) : y;
  }
  return n.head(x);
}

/**
 * Builds DenseNet (`densenet.py`), whose transitions pool the output of a 1x1 convolution and so read every position.
 */
export function densenet(options: NetworkOptions = {}): LayerGraph {
  const n = network(options);
  const axis = options.format === "channels_first" ? 1 : -1;
  let x = n.conv("conv1_conv", n.pad("conv1_pad", n.image(), 3), { filters: 4, kernel_size: 7, strides: 2 });
  for (const stage of [2, 3]) {
    for (const block of [1, 2]) {
      const name = `conv${stage}_block${block}`;
      let y = n.relu(`${name}_0_relu`, n.norm(`${name}_0_bn`, x));
      y = n.conv(`${name}_1_conv`, y, { filters: 8, kernel_size: 1, use_bias: false });
      y = n.relu(`${name}_1_relu`, n.norm(`${name}_1_bn`, y));
      y = n.conv(`${name}_2_conv`, y, { filters: 2, kernel_size: 3, padding: "same", use_bias: false });
      x = n.g.call(`${name}_concat`, "Concatenate", { axis }, x, y);
    }
    x = n.relu(`pool${stage}_relu`, n.norm(`pool${stage}_bn`, x));
    x = n.conv(`pool${stage}_conv`, x, { filters: 4, kernel_size: 1, use_bias: false });
    x = n.pool(`pool${stage}_pool`, "AveragePooling2D", x, { pool_size: 2, strides: 2 });
  }
  return n.head(x);
}
