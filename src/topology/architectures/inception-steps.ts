import { activate, convolve, normalize } from "./layers.ts";
import type { Network, Output } from "./network.ts";

/** Filters, size, and what else but `same`: `reduce` is a stride of 2 without padding. */
export type Step = readonly [
  filters: number,
  size: number | readonly [number, number],
  border?: "valid" | "reduce",
];

/** Convolutions one behind the other. */
export function chain(net: Network, given: Output, ...steps: readonly Step[]): Output {
  return steps.reduce((x, each) => step(net, x, each), given);
}

/** A convolution, normalized and activated; without a name, all three have Keras's. */
export function step(net: Network, given: Output, [filters, size, border]: Step, name?: string): Output {
  const padding = border === undefined ? "same" : "valid";
  const stride = border === "reduce" ? 2 : 1;
  const own = name === undefined ? undefined : { bn: `${name}_bn`, activation: `${name}_ac` };
  const options = { stride, padding, bias: false, ...(name !== undefined && { name }) } as const;
  const x = normalize(net, convolve(net, given, filters, size, options), { axis: 3, scale: false }, own?.bn);
  return activate(net, x, "relu", own?.activation);
}
