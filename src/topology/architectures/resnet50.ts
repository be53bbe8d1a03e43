import type { JsonObject } from "../../checkpoint.ts";
import type { Architecture, ArchitectureFile } from "./architecture.ts";
import { type Network, network } from "./network.ts";

/**
 * ResNet-50 as keras.applications builds it since 2.2.5 (`keras/src/applications/resnet.py`). Before that its layers were
 * named after Caffe's, and BatchNormalization kept Keras's own epsilon.
 */
export const resnet50: Architecture = { name: "resnet50", fileNames, recognises, build };

const blocks = [3, 4, 6, 3];
const widths = [64, 128, 256, 512];
const top = "predictions";

/** `conv4_block1_0_conv` was `res4a_branch1`, `_1_conv` `res4a_branch2a` and so on. */
function fileNames(layer: string): readonly string[] {
  if (layer === top) return [layer, "fc1000"];
  if (layer === "conv1_conv") return [layer, "conv1"];
  if (layer === "conv1_bn") return [layer, "bn_conv1"];
  const [, stage, block, position, kind] = /^conv(\d)_block(\d)_(\d)_(conv|bn)$/.exec(layer) ?? [];
  if (stage === undefined) return [layer];
  const branch = ["1", "2a", "2b", "2c"][Number(position)];
  return [layer, `${kind === "conv" ? "res" : "bn"}${stage}${"abcdef"[Number(block) - 1]}_branch${branch}`];
}

function recognises(layers: readonly string[]): boolean {
  const names = new Set(layers);
  const current =
    names.has("conv4_block6_3_conv") && names.has("conv5_block3_3_conv") && names.has("conv2_block1_0_conv");
  if (current) return !names.has("conv4_block7_1_conv");
  const numbered = names.has("conv2d_52") && names.has("batch_normalization_52");
  if (numbered) return !names.has("conv2d_53") && !names.has("batch_normalization_53");
  return isOld(layers) && !names.has("res4b7_branch2a");
}

/** Whether the layers have the names that Keras gave them before 2.2.5. */
function isOld(layers: readonly string[]): boolean {
  return layers.includes("res4f_branch2c") && layers.includes("res5c_branch2c");
}

function build(file: ArchitectureFile): JsonObject {
  const width = (layer: string, published: number): number => file.kernelShape(layer)?.at(-1) ?? published;
  const classes = file.kernelShape(top)?.at(-1);
  const size = classes === undefined ? null : 224;
  const epsilon = isOld(file.layers) ? 1e-3 : 1.001e-5;
  const net = network("input_layer", [null, size, size, 3]);
  const convolve = (
    name: string,
    filters: number,
    kernel: number,
    stride: number,
    padding: string,
    from: string,
  ): string => {
    const config = { filters, kernel_size: [kernel, kernel], strides: [stride, stride], padding };
    const conv = net.layer("Conv2D", `${name}_conv`, { ...convolution, ...config }, from);
    return net.layer("BatchNormalization", `${name}_bn`, { ...normalization, epsilon }, conv);
  };
  let x = pad(net, "conv1_pad", 3, "input_layer");
  x = convolve("conv1", width("conv1_conv", 64), 7, 2, "valid", x);
  x = relu(net, "conv1_relu", x);
  x = pad(net, "pool1_pad", 1, x);
  const pool = { pool_size: [3, 3], strides: [2, 2], padding: "valid", data_format: "channels_last" };
  x = net.layer("MaxPooling2D", "pool1_pool", pool, x);
  blocks.forEach((count, index) => {
    const stage = `conv${index + 2}`;
    const filters = width(`${stage}_block1_1_conv`, widths[index]!);
    for (let block = 1; block <= count; block += 1) {
      const name = `${stage}_block${block}`;
      const stride = block === 1 && index > 0 ? 2 : 1;
      const shortcut = block === 1 ? convolve(`${name}_0`, 4 * filters, 1, stride, "valid", x) : x;
      let y = relu(net, `${name}_1_relu`, convolve(`${name}_1`, filters, 1, stride, "valid", x));
      y = relu(net, `${name}_2_relu`, convolve(`${name}_2`, filters, 3, 1, "same", y));
      y = convolve(`${name}_3`, 4 * filters, 1, 1, "valid", y);
      x = relu(net, `${name}_out`, net.layer("Add", `${name}_add`, {}, shortcut, y));
    }
  });
  if (classes === undefined) return net.model("resnet50", x);
  x = net.layer("GlobalAveragePooling2D", "avg_pool", { data_format: "channels_last", keepdims: false }, x);
  const dense = { units: classes, activation: "softmax", use_bias: true, ...initializers };
  return net.model("resnet50", net.layer("Dense", top, dense, x));
}

const initializers: JsonObject = {
  kernel_initializer: { class_name: "GlorotUniform", config: { seed: null } },
  bias_initializer: { class_name: "Zeros", config: {} },
};

const convolution: JsonObject = {
  data_format: "channels_last",
  dilation_rate: [1, 1],
  groups: 1,
  activation: "linear",
  use_bias: true,
  ...initializers,
};

const normalization: JsonObject = { axis: 3, momentum: 0.99, center: true, scale: true };

function pad(net: Network, name: string, size: number, from: string): string {
  const padding = [
    [size, size],
    [size, size],
  ];
  return net.layer("ZeroPadding2D", name, { padding, data_format: "channels_last" }, from);
}

function relu(net: Network, name: string, from: string): string {
  return net.layer("Activation", name, { activation: "relu" }, from);
}
