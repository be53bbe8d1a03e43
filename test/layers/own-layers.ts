/** The layers of fixtures/make/custom_classes.py in TypeScript, as a user writes them. */
import { registerLayer } from "../../src/index.ts";

const count = (value: unknown): number => Number(value);

let isKnown = false;

/** Registers the layers, once in a process. */
export function registerOwnLayers(): void {
  if (isKnown) return;
  isKnown = true;

  registerLayer({
    className: "Pets>Scale",
    spec: {
      weights: ({ inputs: [x] }) => [
        { name: "factor", shape: [x.at(-1) ?? 1] },
        { name: "offset", shape: [x.at(-1) ?? 1], trainable: false },
      ],
    },
    kernel: ({ inputs: [x], weights, ops }) => ops.add(ops.mul(x, weights.factor), weights.offset),
  });

  registerLayer({
    className: "Pets>ConvBlock",
    spec: {
      layers: ({ config, inputs: [x] }) => {
        const filters = count(config["filters"]);
        return {
          conv: {
            className: "Conv2D",
            config: { filters, kernel_size: 3, padding: "same", use_bias: false },
            inputs: [x],
          },
          norm: {
            className: "BatchNormalization",
            config: { momentum: 0.9 },
            inputs: [[...x.slice(0, -1), filters]],
          },
        };
      },
      outputShape: ({ config, inputs: [x] }) => [...x.slice(0, -1), count(config["filters"])],
    },
    kernel: ({ inputs: [x], layers, ops }) => ops.relu(layers.norm(layers.conv(x))),
  });

  registerLayer({
    className: "TokenAndPositionEmbedding",
    spec: {
      layers: ({ config, inputs: [x] }) => ({
        token_emb: {
          className: "Embedding",
          config: { input_dim: count(config["vocab_size"]), output_dim: count(config["embed_dim"]) },
          inputs: [x],
        },
        pos_emb: {
          className: "Embedding",
          config: { input_dim: count(config["maxlen"]), output_dim: count(config["embed_dim"]) },
          inputs: [x.slice(1)],
        },
      }),
      outputShape: ({ config, inputs: [x] }) => [...x, count(config["embed_dim"])],
    },
    kernel: ({ inputs: [x], layers, ops }) => {
      const positions = ops.range(0, x.shape.at(-1) ?? 0);
      return ops.add(layers.token_emb(x), layers.pos_emb(positions));
    },
  });

  registerLayer({
    className: "TransformerBlock",
    spec: {
      layers: ({ config, inputs: [x] }) => {
        const [width, hidden] = [count(config["embed_dim"]), count(config["ff_dim"])];
        const rate = count(config["rate"]);
        const heads = { num_heads: count(config["num_heads"]), key_dim: width };
        return {
          att: { className: "MultiHeadAttention", config: heads, inputs: [x, x] },
          "ffn/layers/dense": {
            className: "Dense",
            config: { units: hidden, activation: "relu" },
            inputs: [x],
          },
          "ffn/layers/dense_1": {
            className: "Dense",
            config: { units: width },
            inputs: [[...x.slice(0, -1), hidden]],
          },
          layernorm1: { className: "LayerNormalization", config: { epsilon: 1e-6 }, inputs: [x] },
          layernorm2: { className: "LayerNormalization", config: { epsilon: 1e-6 }, inputs: [x] },
          dropout1: { className: "Dropout", config: { rate }, inputs: [x] },
          dropout2: { className: "Dropout", config: { rate }, inputs: [x] },
        };
      },
    },
    kernel: ({ inputs: [x], layers, ops }) => {
      const first = layers.layernorm1(ops.add(x, layers.dropout1(layers.att([x, x]))));
      const fed = layers["ffn/layers/dense_1"](layers["ffn/layers/dense"](first));
      return layers.layernorm2(ops.add(first, layers.dropout2(fed)));
    },
  });
}
