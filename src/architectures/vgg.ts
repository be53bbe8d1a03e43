import type { JsonObject } from "../checkpoint.ts";
import type { Architecture, ArchitectureFile } from "./architecture.ts";
import { classesIn, classify, convolve, pool } from "./layers.ts";
import type { Network } from "./network.ts";
import { network } from "./network.ts";
import type { Output } from "./network-output.ts";

/** VGG networks (`keras/src/applications/vgg16.py`, `vgg19.py`). */
export const vggs: readonly Architecture[] = [vgg("vgg16", [2, 2, 3, 3, 3]), vgg("vgg19", [2, 2, 4, 4, 4])];

const widths = [64, 128, 256, 512, 512];

/** @param blocks Number of convolutions in each block. */
function vgg(name: string, blocks: readonly number[]): Architecture {
  return {
    name,
    build: (file) => {
      const classes = classesIn(file);
      const net = network(classes === undefined ? null : sizeIn(file));
      const x = blocks.reduce((given, count, index) => block(net, given, index, count), net.input);
      return classes === undefined ? net.model(name, x) : withTop(net, name, x, classes);
    },
  };
}

function block(net: Network, given: Output, index: number, count: number): Output {
  const name = `block${index + 1}`;
  let x = given;
  for (let layer = 1; layer <= count; layer++) {
    const options = { activation: "relu", padding: "same", name: `${name}_conv${layer}` } as const;
    x = convolve(net, x, widths[index] ?? 512, 3, options);
  }
  return pool(net, "Max", x, 2, { stride: 2, name: `${name}_pool` });
}

function withTop(net: Network, name: string, given: Output, classes: number): JsonObject {
  let x = net.layer("Flatten", {}, given, "flatten");
  for (const layer of ["fc1", "fc2"]) x = net.layer("Dense", { units: 4096, activation: "relu" }, x, layer);
  return net.model(name, classify(net, x, classes));
}

/**
 * Returns the image size, halved five times, for which the flattened features match the inputs of fc1; 224 if none
 * does.
 */
function sizeIn(file: ArchitectureFile): number {
  const features = file.kernelShape("fc1")?.[0];
  const rows = features === undefined ? 7 : Math.sqrt(features / 512);
  return Number.isInteger(rows) ? rows * 32 : 224;
}
