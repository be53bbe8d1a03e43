/** @file Normalization by stored statistics in ONNX. */
import { toFloat32 } from "../../tensor.ts";
import type { Lowering } from "./lowering.ts";
import { noForm, numberOf } from "./lowering.ts";

export const normalizationLowerings: Readonly<Record<string, Lowering>> = {
  /** Scale and offset of each channel, computed here in float64. */
  BatchNormStored: ({ id, node }, graph) => {
    const [mean, variance, gamma, beta] = ["mean", "variance", "gamma", "beta"].map((name) => {
      const constant = graph.constant(id(name));
      if (!constant) throw noForm(node, `whose ${name} is not a constant`);
      return toFloat32({ dtype: "float32", shape: constant.shape, data: constant.values });
    });
    const epsilon = numberOf(node, "epsilon");
    const scale = Array.from(gamma ?? [], (value, c) => value / Math.sqrt((variance?.[c] ?? 1) + epsilon));
    const offset = scale.map((value, c) => (beta?.[c] ?? 0) - (mean?.[c] ?? 0) * value);
    const scaled = graph.add("Mul", [graph.name(id("x")), graph.floats(scale)]);
    return graph.add("Add", [scaled, graph.floats(offset)]);
  },
  LayerNorm: ({ id, node }, graph) => {
    const inputs = ["x", "gamma", "beta"].map((name) => graph.name(id(name)));
    return graph.add("LayerNormalization", inputs, {
      axis: -1,
      epsilon: { float: numberOf(node, "epsilon") },
    });
  },
};
