import type { JsonObject } from "../../../src/checkpoint.ts";
import type { LayerGraph, TensorRef } from "../../../src/topology/layer-graph.ts";
import { graphMaker, randomNumbers } from "./graph-maker.ts";

/**
 * Builds a random graph of up to `calls` calls that covers the special cases of the rewrites: strided 1x1 convolutions,
 * shared layers, several readers, several outputs, groups, activations in layers and as layers, Dense layers in a row,
 * Dropout, and both data formats.
 */
export function randomGraph(seed: number, calls: number): LayerGraph {
  const random = randomNumbers(seed);
  const upTo = (count: number): number => Math.floor(random() * count);
  const oneOf = <T>(choices: readonly T[]): T => choices[upTo(choices.length)]!;
  const data_format = oneOf(["channels_last", "channels_first"] as const);
  const channelAxis = data_format === "channels_last" ? 3 : 1;
  const g = graphMaker();
  const size = 7 + upTo(4);
  const maps = [g.input(data_format === "channels_last" ? [null, size, size, 4] : [null, 4, size, size])];
  const shared: { name: string; channels: number }[] = [];
  /**
   * Picks the newest tensor most of the time, so that chains grow, and sometimes an older one, so that it has several
   * readers.
   */
  const some = (): TensorRef => (random() < 0.75 ? maps.at(-1)! : oneOf(maps));
  const channels = (x: TensorRef): number => g.shape(x)[channelAxis]!;
  const height = (x: TensorRef): number => g.shape(x)[channelAxis === 3 ? 1 : 2]!;

  const convolution = (name: string, x: TensorRef): TensorRef => {
    const kernel_size = Math.min(oneOf([1, 1, 1, 3, 3, 2]), height(x));
    const strides = height(x) > 3 ? oneOf([1, 1, 2]) : 1;
    const config: JsonObject = {
      kernel_size,
      strides,
      padding: oneOf(["same", "same", "valid"]),
      data_format,
      use_bias: random() < 0.6,
      activation: oneOf(["linear", "linear", "linear", "relu"]),
    };
    const kind = oneOf(["Conv2D", "Conv2D", "Conv2D", "Conv2D", "DepthwiseConv2D", "SeparableConv2D"]);
    if (kind === "DepthwiseConv2D") return g.call(name, kind, config, x);
    const filters = oneOf([4, 4, 6]);
    const groups = kind === "Conv2D" && channels(x) === 4 && filters === 4 ? oneOf([1, 2]) : 1;
    if (kind === "Conv2D" && strides === 1) shared.push({ name, channels: channels(x) });
    return g.call(name, kind, kind === "Conv2D" ? { ...config, filters, groups } : { ...config, filters }, x);
  };

  for (let call = 0; call < calls; call += 1) {
    const name = `l${call}`;
    const x = some();
    const same = maps.filter((other) => g.shape(other).join() === g.shape(x).join());
    const choice = random();
    if (choice < 0.4) maps.push(convolution(name, x));
    else if (choice < 0.58) {
      const parts = { scale: random() < 0.8, center: random() < 0.8, axis: channelAxis };
      maps.push(g.call(name, "BatchNormalization", parts, x));
    } else if (choice < 0.68) {
      const [className, config] = oneOf([
        ["ReLU", { max_value: 6 }],
        ["ReLU", { negative_slope: 0.1 }],
        ["Activation", { activation: "linear" }],
        ["Activation", { activation: "tanh" }],
        ["Dropout", { rate: 0.5 }],
      ] as const);
      maps.push(g.call(name, className, config, x));
    } else if (choice < 0.82) {
      const other = oneOf(same);
      maps.push(
        random() < 0.7
          ? g.call(name, oneOf(["Add", "Add", "Multiply", "Maximum"]), {}, x, other)
          : g.call(name, "Concatenate", { axis: channelAxis }, x, other),
      );
    } else if (choice < 0.9 && height(x) > 2) {
      const className = oneOf(["MaxPooling2D", "AveragePooling2D"]);
      const pool_size = oneOf([1, 2]);
      maps.push(
        g.call(name, className, { pool_size, strides: oneOf([1, 2]), padding: "same", data_format }, x),
      );
    } else {
      const again = shared.find((layer) => layer.channels === channels(x));
      if (again && height(x) > 2) maps.push(g.again(again.name, x));
    }
  }
  const pooled = g.call("pool", "GlobalAveragePooling2D", { data_format }, maps.at(-1)!);
  let dense = pooled;
  for (const [at, units] of [8, 3, 5].entries()) {
    const config = { units, activation: oneOf(["linear", "linear", "relu"]), use_bias: random() < 0.6 };
    dense = g.call(`fc${at}`, "Dense", config, dense);
    if (random() < 0.3) dense = g.call(`fc${at}_bn`, "BatchNormalization", {}, dense);
    if (random() < 0.3) dense = g.call(`fc${at}_drop`, "Dropout", { rate: 0.2 }, dense);
  }
  return random() < 0.3 ? g.finish(dense, oneOf(maps)) : g.finish(dense);
}
