/** @file The blocks of EfficientNet: plain layers in the first version, composites in the later ones. */
import type { JsonObject } from "../../checkpoint.ts";
import type { Output } from "../network-output.ts";
import {
  convolution,
  type EfficientNetBlock,
  initializer,
  isResidual,
  squeezeSteps,
} from "./efficientnet-parts.ts";
import type { HubLayer, HubNetwork } from "./hub-network.ts";

/** Adds a block of type `v1` (`_apply_efficientnet_block`), whose normalizations keep Keras's momentum. */
export function addPlainBlock(net: HubNetwork, given: Output, block: EfficientNetBlock): Output {
  const { outputs, size, stride, expansion, squeeze, dropout, activation, projection, epsilon, name } = block;
  const filters = block.inputs * expansion;
  const normalize = (x: Output, own: string): Output =>
    net.layer("BatchNormalization", { axis: 3, epsilon }, x, `${name}${own}`);
  const activate = (x: Output, own: string): Output =>
    net.layer("Activation", { activation }, x, `${name}${own}`);
  let x = given;
  if (expansion !== 1) {
    x = net.layer("Conv2D", { ...convolution(filters, 1), padding: "same" }, x, `${name}expand_conv`);
    x = activate(normalize(x, "expand_bn"), "expand_activation");
  }
  x = net.layer("ZeroPadding2D", padding(size), x, `${name}dwconv_pad`);
  x = net.layer("DepthwiseConv2D", { ...depthwise(size, stride), padding: "valid" }, x, `${name}dwconv`);
  x = activate(normalize(x, "dwconv_bn"), "dwconv_activation");
  if (squeeze > 0 && squeeze <= 1) {
    const [reduce, expand] = squeezeSteps(block, filters);
    let scale = net.layer("GlobalAveragePooling2D", { keepdims: false }, x, `${name}se_squeeze`);
    scale = net.layer("Reshape", { target_shape: [1, 1, filters] }, scale, `${name}se_reshape`);
    scale = net.layer("Conv2D", reduce, scale, `${name}se_reduce`);
    scale = net.layer("Conv2D", expand, scale, `${name}se_expand`);
    x = net.layer("Multiply", {}, [x, scale], `${name}se_excite`);
  }
  x = net.layer("Conv2D", { ...convolution(outputs, 1), padding: "same" }, x, `${name}project`);
  x = normalize(x, "project_bn");
  if (projection !== null) {
    x = net.layer("Activation", { activation: projection }, x, `${name}projection_activation`);
  }
  if (!isResidual(block)) return x;
  if (dropout > 0) x = net.layer("Dropout", samplesDropped(dropout), x, `${name}drop`);
  return net.layer("Add", {}, [x, given], `${name}add`);
}

/** Adds a block of type `unfused` (`mbconv.py`). */
export function addUnfusedBlock(net: HubNetwork, given: Output, block: EfficientNetBlock): Output {
  const { outputs, size, stride, expansion, name: own } = block;
  const filters = block.inputs * expansion;
  return net.composite("MBConvBlock", own, given, (add, start, name) => {
    const activation = { activation: block.activation };
    let x = start;
    if (expansion !== 1) {
      x = add("conv1", "Conv2D", { ...convolution(filters, 1), padding: "same" }, x, `${name}expand_conv`);
      x = add("bn1", "BatchNormalization", normalization(block), x, `${name}expand_bn`);
      x = add("act", "Activation", activation, x, `${name}activation`);
    }
    x = add(
      "depthwise",
      "DepthwiseConv2D",
      { ...depthwise(size, stride), padding: "same" },
      x,
      `${name}dwconv2`,
    );
    x = add("bn2", "BatchNormalization", normalization(block), x, `${name}bn`);
    x = add(null, "Activation", activation, x, `${name}second_activation`);
    x = squeezed(add, x, block, filters);
    return projected(add, x, start, block, outputs, expansion === 1 ? size : 1, "bn3");
  });
}

/** Adds a block of type `fused` (`fusedmbconv.py`), or one convolution, `cba` (`cba.py`). */
export function addFusedBlock(
  net: HubNetwork,
  given: Output,
  block: EfficientNetBlock,
  isOneConvolution: boolean,
): Output {
  const { outputs, size, stride, expansion, projection, name: own } = block;
  const filters = isOneConvolution ? outputs : block.inputs * expansion;
  const part = isOneConvolution ? "" : "expand_";
  return net.composite(isOneConvolution ? "CBABlock" : "FusedMBConvBlock", own, given, (add, start, name) => {
    let x = add("conv1_pad", "ZeroPadding2D", padding(size), start, `${name}${part}conv_pad`);
    x = add("conv1", "Conv2D", { ...convolution(filters, size, stride) }, x, `${name}${part}conv`);
    x = add("bn1", "BatchNormalization", normalization(block), x, `${name}${part}bn`);
    x = add("act", "Activation", { activation: block.activation }, x, `${name}${part}activation`);
    if (isOneConvolution) return withInput(add, x, start, block);
    x = squeezed(add, x, block, filters);
    const after = expansion === 1 ? projection : null;
    return projected(add, x, start, block, outputs, 1, "bn2", after);
  });
}

function squeezed(add: HubLayer, given: Output, block: EfficientNetBlock, filters: number): Output {
  const { squeeze, name } = block;
  if (!(squeeze > 0 && squeeze <= 1)) return given;
  const [reduce, expand] = squeezeSteps(block, filters);
  let scale = add(null, "GlobalAveragePooling2D", { keepdims: false }, given, `${name}se_squeeze`);
  scale = add(null, "Reshape", { target_shape: [1, 1, filters] }, scale, `${name}se_reshape`);
  scale = add("se_conv1", "Conv2D", reduce, scale, `${name}se_reduce`);
  scale = add("se_conv2", "Conv2D", expand, scale, `${name}se_expand`);
  return add(null, "Multiply", {}, [given, scale], `${name}se_excite`);
}

/** Adds the last convolution of a composite, its normalization and the block's input. */
function projected(
  add: HubLayer,
  given: Output,
  start: Output,
  block: EfficientNetBlock,
  filters: number,
  size: number,
  normalizationAttribute: string,
  activation: string | null = null,
): Output {
  const { name } = block;
  let x = add("output_conv_pad", "ZeroPadding2D", padding(size), given, `${name}project_conv_pad`);
  x = add("output_conv", "Conv2D", convolution(filters, size), x, `${name}project_conv`);
  x = add(normalizationAttribute, "BatchNormalization", normalization(block), x, `${name}project_bn`);
  if (activation !== null)
    x = add("projection_act", "Activation", { activation }, x, `${name}projection_act`);
  return withInput(add, x, start, block);
}

function withInput(add: HubLayer, given: Output, start: Output, block: EfficientNetBlock): Output {
  if (!isResidual(block)) return given;
  const { dropout, name } = block;
  const x =
    dropout > 0 ? add("dropout_layer", "Dropout", samplesDropped(dropout), given, `${name}drop`) : given;
  return add(null, "Add", {}, [x, start], `${name}add`);
}

function padding(size: number): JsonObject {
  const half = Math.floor(size / 2);
  return { padding: [half, half] };
}

function depthwise(size: number, stride: number): JsonObject {
  return {
    kernel_size: [size, size],
    strides: [stride, stride],
    use_bias: false,
    depthwise_initializer: initializer,
  };
}

function normalization({ momentum, epsilon }: EfficientNetBlock): JsonObject {
  return { axis: 3, momentum, epsilon };
}

/** Drops whole samples: the block then passes its input on. */
function samplesDropped(rate: number): JsonObject {
  return { rate, noise_shape: [null, 1, 1, 1] };
}
