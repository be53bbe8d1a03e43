/** The question's own example: X of 100x5 through a chain of Dense layers, RMSprop, 100 epochs of batches of 32. */
import { freezeDepth } from "../dist/index.js";

export function chainOptions(model, depth) {
  const rows = 100;
  const random = Float32Array.from({ length: rows * 5 }, (_, index) => Math.sin(index * 12.9898) % 1);
  const sums = Float32Array.from({ length: rows }, (_, row) =>
    random.subarray(row * 5, row * 5 + 5).reduce((a, b) => a + b),
  );
  return {
    model,
    data: {
      kind: "arrays",
      inputs: { dtype: "float32", shape: [rows, 5], data: random },
      targets: { dtype: "float32", shape: [rows, 1], data: sums },
    },
    freeze: freezeDepth(Number(depth)),
    loss: "mean_squared_error",
    optimizer: "RMSprop",
    learningRate: 1e-3,
    epochs: 100,
    batchSize: 32,
  };
}
