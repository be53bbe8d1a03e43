import type { Architecture } from "./architecture.ts";
import {
  activate,
  add,
  averageAll,
  classesIn,
  classify,
  convolve,
  convolveSeparably,
  normalize,
  pool,
  sizeFor,
} from "./layers.ts";
import type { Network } from "./network.ts";
import { network } from "./network.ts";
import type { Output } from "./network-output.ts";

/** Xception (`keras/src/applications/xception.py`). */
export const xceptions: readonly Architecture[] = [
  {
    name: "xception",
    build: (file) => {
      const classes = classesIn(file);
      const net = network(sizeFor(classes, 299));
      let x = net.input;
      for (const [filters, stride, name] of [
        [32, 2, "block1_conv1"],
        [64, 1, "block1_conv2"],
      ] as const) {
        x = normalize(net, convolve(net, x, filters, 3, { stride, bias: false, name }), {}, `${name}_bn`);
        x = activate(net, x, "relu", `${name}_act`);
      }
      x = shrinking(net, x, 2, [128, 128]);
      x = shrinking(net, x, 3, [256, 256]);
      x = shrinking(net, x, 4, [728, 728]);
      for (let block = 5; block <= 12; block++) x = add(net, [separable(net, x, block, [728, 728, 728]), x]);
      x = shrinking(net, x, 13, [728, 1024]);
      x = activatedAfter(net, x, "block14_sepconv1", 1536);
      x = activatedAfter(net, x, "block14_sepconv2", 2048);
      if (classes === undefined) return net.model("xception", x);
      return net.model("xception", classify(net, averageAll(net, x, "avg_pool"), classes));
    },
  },
];

/**
 * Adds a block that halves the resolution, with a strided convolution as the shortcut. The first such block does not
 * activate its input, which is activated already.
 */
function shrinking(net: Network, given: Output, block: number, widths: readonly [number, number]): Output {
  const [, filters] = widths;
  const shortcut = { stride: 2, padding: "same", bias: false } as const;
  const residual = normalize(net, convolve(net, given, filters, 1, shortcut), {});
  const x = separable(net, given, block, widths);
  const pooled = pool(net, "Max", x, 3, { stride: 2, padding: "same", name: `block${block}_pool` });
  return add(net, [pooled, residual]);
}

function separable(net: Network, given: Output, block: number, widths: readonly number[]): Output {
  return widths.reduce((x, filters, index) => {
    const name = `block${block}_sepconv${index + 1}`;
    const active = block === 2 && index === 0 ? x : activate(net, x, "relu", `${name}_act`);
    return normalizedAfter(net, active, name, filters);
  }, given);
}

function activatedAfter(net: Network, given: Output, name: string, filters: number): Output {
  return activate(net, normalizedAfter(net, given, name, filters), "relu", `${name}_act`);
}

function normalizedAfter(net: Network, given: Output, name: string, filters: number): Output {
  const x = convolveSeparably(net, given, filters, 3, { padding: "same", bias: false, name });
  return normalize(net, x, {}, `${name}_bn`);
}
