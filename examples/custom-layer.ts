// Trains the two custom layers of Keras's "Text classification with Transformer", written in TypeScript.
//
//     node examples/custom-layer.ts [OUT]
//
// The model comes from fixtures/custom: token indices [6], a TokenAndPositionEmbedding, a TransformerBlock, three classes.
// OUT: where the tuned model is written. Python opens it with its own classes in `custom_objects`.
import {
  arrayDataset,
  evaluate,
  finetune,
  freezeUntil,
  type JsonObject,
  readCheckpoint,
  registerLayer,
  type Tensor,
  writeCheckpoint,
} from "keras-finetune";

const [out = "transformer.keras"] = process.argv.slice(2);

/** Returns a number of a config. */
function size(config: JsonObject, name: string): number {
  return Number(config[name]);
}

registerLayer({
  className: "TokenAndPositionEmbedding",
  spec: {
    layers: ({ config, inputs: [tokens] }) => {
      const output_dim = size(config, "embed_dim");
      const [words, places] = [size(config, "vocab_size"), size(config, "maxlen")];
      return {
        token_emb: { className: "Embedding", config: { input_dim: words, output_dim }, inputs: [tokens] },
        pos_emb: {
          className: "Embedding",
          config: { input_dim: places, output_dim },
          inputs: [tokens.slice(1)],
        },
      };
    },
    outputShape: ({ config, inputs: [tokens] }) => [...tokens, size(config, "embed_dim")],
  },
  kernel: ({ inputs: [tokens], layers, ops }) => {
    const places = ops.range(0, tokens.shape.at(-1) ?? 0);
    return ops.add(layers.token_emb(tokens), layers.pos_emb(places));
  },
});

registerLayer({
  className: "TransformerBlock",
  spec: {
    layers: ({ config, inputs: [x] }) => {
      const [width, hidden] = [size(config, "embed_dim"), size(config, "ff_dim")];
      const heads = { num_heads: size(config, "num_heads"), key_dim: width };
      const dropout = { className: "Dropout", config: { rate: size(config, "rate") }, inputs: [x] };
      const norm = { className: "LayerNormalization", config: { epsilon: 1e-6 }, inputs: [x] };
      const wide = [...x.slice(0, -1), hidden];
      return {
        att: { className: "MultiHeadAttention", config: heads, inputs: [x, x] },
        // self.ffn is a Sequential of two Dense layers.
        "ffn/layers/dense": {
          className: "Dense",
          config: { units: hidden, activation: "relu" },
          inputs: [x],
        },
        "ffn/layers/dense_1": { className: "Dense", config: { units: width }, inputs: [wide] },
        layernorm1: norm,
        layernorm2: norm,
        dropout1: dropout,
        dropout2: dropout,
      };
    },
  },
  kernel: ({ inputs: [x], layers, ops }) => {
    const attended = layers.layernorm1(ops.add(x, layers.dropout1(layers.att([x, x]))));
    const fed = layers["ffn/layers/dense_1"](layers["ffn/layers/dense"](attended));
    return layers.layernorm2(ops.add(attended, layers.dropout2(fed)));
  },
});

/** Returns sentences of six tokens, each with the third of the vocabulary that most of its tokens are from. */
function sentences(count: number, seed: number): { tokens: Tensor; classes: Tensor } {
  const tokens = new Int32Array(count * 6);
  const classes = new Int32Array(count);
  let state = seed;
  const next = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  for (let row = 0; row < count; row++) {
    classes[row] = next(3);
    for (let place = 0; place < 6; place++) {
      tokens[row * 6 + place] = place < 4 ? 6 * (classes[row] ?? 0) + next(6) : next(18);
    }
  }
  return {
    tokens: { dtype: "int32", shape: [count, 6], data: tokens },
    classes: { dtype: "int32", shape: [count], data: classes },
  };
}

const train = sentences(128, 1);
const held = sentences(60, 2);
// The embedding is frozen: it runs once per sentence, and its outputs are what the block trains on.
const { checkpoint, plan } = await finetune({
  model: await readCheckpoint("fixtures/custom/k3-texts.keras"),
  data: arrayDataset(train.tokens, train.classes),
  freeze: freezeUntil("block"),
  epochs: 6,
  batchSize: 16,
  learningRate: 0.02,
});
console.log(`trained from ${plan.firstTrainable} on`);

const { metrics, samples } = await evaluate(checkpoint, arrayDataset(held.tokens, held.classes));
console.log(`accuracy ${Number(metrics["accuracy"]).toFixed(4)} on ${samples} sentences it did not train on`);

await writeCheckpoint(out, checkpoint);
console.log(`written to ${out}`);
