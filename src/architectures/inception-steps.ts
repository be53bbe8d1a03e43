import { activate, convolve, normalize, pool } from "./layers.ts";
import type { Network } from "./network.ts";
import type { Output } from "./network-output.ts";

/** A convolution: filters, size and, if not `same`, its border. `reduce` means a stride of 2 without padding. */
export type Step = readonly [
  filters: number,
  size: number | readonly [number, number],
  border?: "valid" | "reduce",
];

/** Adds a chain of convolutions. */
export function chain(net: Network, given: Output, ...steps: readonly Step[]): Output {
  return steps.reduce((x, each) => step(net, x, each), given);
}

/** Adds a convolution, its normalization and its activation. Without a name all three have Keras's automatic names. */
export function step(net: Network, given: Output, [filters, size, border]: Step, name?: string): Output {
  const padding = border === undefined ? "same" : "valid";
  const stride = border === "reduce" ? 2 : 1;
  const own = name === undefined ? undefined : { bn: `${name}_bn`, activation: `${name}_ac` };
  const options = { stride, padding, bias: false, ...(name !== undefined && { name }) } as const;
  const x = normalize(net, convolve(net, given, filters, size, options), { axis: 3, scale: false }, own?.bn);
  return activate(net, x, "relu", own?.activation);
}

/** Adds the layers with which Inception v3 and Inception-ResNet v2 begin. */
export function stem(net: Network): Output {
  let x = chain(net, net.input, [32, 3, "reduce"], [32, 3, "valid"], [64, 3]);
  x = pool(net, "Max", x, 3, { stride: 2 });
  return chain(net, x, [80, 1, "valid"], [192, 3, "valid"]);
}
