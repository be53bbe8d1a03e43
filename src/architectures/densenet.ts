import type { Architecture } from "./architecture.ts";
import {
  activate,
  averageAll,
  channelsOf,
  classesIn,
  classify,
  concatenate,
  convolve,
  normalize,
  pad,
  pool,
  sizeFor,
} from "./layers.ts";
import type { Network } from "./network.ts";
import { network } from "./network.ts";
import type { Output } from "./network-output.ts";

/** DenseNet networks (`keras/src/applications/densenet.py`). */
export const densenets: readonly Architecture[] = [
  densenet("densenet121", [6, 12, 24, 16]),
  densenet("densenet169", [6, 12, 32, 32]),
  densenet("densenet201", [6, 12, 48, 32]),
];

const growth = 32;

function densenet(name: string, blocks: readonly number[]): Architecture {
  return {
    name,
    formerNames: (layer) => (layer === "predictions" ? ["fc1000"] : []),
    build: (file) => {
      const classes = classesIn(file);
      const net = network(sizeFor(classes, 224));
      let x = convolve(net, pad(net, net.input, 3), 64, 7, { stride: 2, bias: false, name: "conv1_conv" });
      x = normalized(net, x, "conv1_");
      x = pool(net, "Max", pad(net, x, 1), 3, { stride: 2, name: "pool1" });
      blocks.forEach((count, index) => {
        if (index > 0) x = transition(net, x, `pool${index + 1}`);
        for (let block = 1; block <= count; block++) x = denseBlock(net, x, `conv${index + 2}_block${block}`);
      });
      x = normalized(net, x, "");
      if (classes === undefined) return net.model(name, x);
      return net.model(name, classify(net, averageAll(net, x, "avg_pool"), classes));
    },
  };
}

function normalized(net: Network, given: Output, prefix: string): Output {
  const x = normalize(net, given, { axis: 3, epsilon: 1.001e-5 }, `${prefix}bn`);
  return activate(net, x, "relu", `${prefix}relu`);
}

function denseBlock(net: Network, given: Output, name: string): Output {
  let x = normalized(net, given, `${name}_0_`);
  x = convolve(net, x, 4 * growth, 1, { bias: false, name: `${name}_1_conv` });
  x = normalized(net, x, `${name}_1_`);
  x = convolve(net, x, growth, 3, { padding: "same", bias: false, name: `${name}_2_conv` });
  return concatenate(net, [given, x], 3, `${name}_concat`);
}

/** Adds a transition block, which halves the channels and the resolution. */
function transition(net: Network, given: Output, name: string): Output {
  let x = normalized(net, given, `${name}_`);
  x = convolve(net, x, channelsOf(x) / 2, 1, { bias: false, name: `${name}_conv` });
  return pool(net, "Average", x, 2, { stride: 2, name: `${name}_pool` });
}
