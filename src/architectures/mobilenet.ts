import type { Architecture } from "./architecture.ts";
import { activate, classesIn, convolve, convolveDepthwise, normalize, pad, sizeFor } from "./layers.ts";
import type { Network } from "./network.ts";
import { network } from "./network.ts";
import type { Output } from "./network-output.ts";

/** MobileNet (`keras/src/applications/mobilenet.py`) with the width of the file. */
export const mobilenets: readonly Architecture[] = [
  {
    name: "mobilenet",
    build: (file) => {
      const classes = classesIn(file, "conv_preds");
      const net = network(sizeFor(classes, 224));
      const width = (file.kernelShape("conv1")?.at(-1) ?? 32) / 32;
      const first = Math.floor(32 * width);
      const options = { stride: 2, padding: "same", bias: false, name: "conv1" } as const;
      let x = activated(net, convolve(net, net.input, first, 3, options), "conv1");
      blocks.forEach(([filters, stride], index) => {
        x = block(net, x, Math.floor(filters * width), stride, index + 1);
      });
      const name = `mobilenet_${width.toFixed(2)}_224`;
      if (classes === undefined) return net.model(name, x);
      x = net.layer("GlobalAveragePooling2D", { keepdims: true }, x);
      x = net.layer("Dropout", { rate: 1e-3 }, x, "dropout");
      x = convolve(net, x, classes, 1, { padding: "same", name: "conv_preds" });
      x = net.layer("Reshape", { target_shape: [classes] }, x, "reshape_2");
      return net.model(name, activate(net, x, "softmax", "predictions"));
    },
  },
];

/** Filters and stride of each block. */
const blocks: readonly (readonly [number, 1 | 2])[] = [
  [64, 1],
  [128, 2],
  [128, 1],
  [256, 2],
  [256, 1],
  [512, 2],
  [512, 1],
  [512, 1],
  [512, 1],
  [512, 1],
  [512, 1],
  [1024, 2],
  [1024, 1],
];

function block(net: Network, given: Output, filters: number, stride: 1 | 2, index: number): Output {
  const isStrided = stride === 2;
  const padded = isStrided ? pad(net, given, after, `conv_pad_${index}`) : given;
  const depthwise = { stride, padding: isStrided ? "valid" : "same", bias: false } as const;
  let x = convolveDepthwise(net, padded, 3, { ...depthwise, name: `conv_dw_${index}` });
  x = activated(net, x, `conv_dw_${index}`);
  x = convolve(net, x, filters, 1, { padding: "same", bias: false, name: `conv_pw_${index}` });
  return activated(net, x, `conv_pw_${index}`);
}

const after = [
  [0, 1],
  [0, 1],
] as const;

function activated(net: Network, given: Output, name: string): Output {
  return net.layer("ReLU", { max_value: 6 }, normalize(net, given, {}, `${name}_bn`), `${name}_relu`);
}
