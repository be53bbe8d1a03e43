import { beforeAll, describe, expect, it } from "vitest";
import { ensureEngine } from "../../../src/engine/backend.ts";
import { graphBackend, recordComputation } from "../../../src/engine/graph/whole-graph.ts";
import { run } from "../../../src/engine/kernels/own-kernel.ts";
import { tf } from "../../../src/engine/tf.ts";

const isNative = process.env["KERAS_FINETUNE_ENGINE"] === "native";

beforeAll(async () => {
  await ensureEngine();
});

it("graphs run on the native engine and on no other", () => {
  expect(graphBackend() !== undefined).toBe(isNative);
});

describe.runIf(isNative)("a computation as a graph", () => {
  const random = (shape: readonly number[], seed: number): tf.Tensor =>
    tf.randomNormal([...shape], 0, 1, "float32", seed);
  const [filter, bias, depthwise] = [
    () => random([3, 3, 4, 4], 1),
    () => random([4], 2),
    () => random([3, 3, 4, 1], 3),
  ];
  const window = { strides: [1, 1], pad: "same" };
  const convolved = (x: tf.Tensor, w: tf.Tensor, b: tf.Tensor): tf.Tensor =>
    run("Conv2DBias", { x, filter: w, bias: b }, window);
  const eachChannel = (x: tf.Tensor, w: tf.Tensor, b: tf.Tensor): tf.Tensor =>
    run("BiasAdd", {
      x: run("DepthwiseConv2dNative", { x, filter: w }, { ...window, dilations: [1, 1] }),
      bias: b,
    });
  const activations: Readonly<Record<string, (x: tf.Tensor) => tf.Tensor>> = {
    relu: tf.relu,
    relu6: tf.relu6,
    swish: (x) => run("Swish", { x }),
    softmax: tf.softmax,
  };
  /** An image batch with NaN and both infinities in it. */
  const images = (): tf.Tensor => {
    const values = Float32Array.from(random([2, 6, 6, 4], 4).dataSync());
    values.set([Number.NaN], 60);
    values.set([Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY], 170);
    return tf.tensor(values, [2, 6, 6, 4]);
  };

  it.each(Object.keys(activations))("gives the same bits, NaN for NaN: %s behind convolutions", (name) => {
    const backend = graphBackend();
    const activation = activations[name];
    if (!backend || !activation) throw new Error("no backend");
    tf.tidy(() => {
      const inputs = [images(), filter(), bias(), depthwise()] as const;
      const [x, w, b, d] = inputs;
      const compute = (): tf.Tensor[] => [
        activation(convolved(x, w, b)),
        activation(eachChannel(x, d, b)),
        activation(tf.add(convolved(x, w, b), x)),
      ];
      tf.dispose(compute());
      const { results, load } = recordComputation(backend, inputs, compute);
      const graph = load();
      const found = graph.run(inputs);
      expect(results.some((result) => result.dataSync().some(Number.isNaN))).toBe(true);
      for (const [index, tensor] of found.entries()) {
        const [one, other] = [results[index]?.dataSync() ?? [], tensor.dataSync()];
        const isSame = (value: number, place: number): boolean =>
          value === one[place] || (Number.isNaN(value) && Number.isNaN(one[place]));
        expect(other.findIndex((value, place) => !isSame(value, place))).toBe(-1);
      }
      graph.dispose();
    });
  });

  it("computes with the numbers that the operations read: `x / 3` is no product", () => {
    const backend = graphBackend();
    if (!backend) throw new Error("no backend");
    tf.tidy(() => {
      const x = random([200], 5);
      const compute = (): tf.Tensor[] => [
        tf.div(tf.sub(x, 0.1), 3),
        tf.mul(tf.mul(x, 1 / 6), tf.expandDims(tf.add(x, 3), 0)),
      ];
      const { results, load } = recordComputation(backend, [x], compute);
      const graph = load();
      for (const [index, tensor] of graph.run([x]).entries()) {
        expect(Array.from(tensor.dataSync())).toEqual(Array.from(results[index]?.dataSync() ?? []));
      }
      graph.dispose();
    });
  });

  it("is refused for what it is not given, and for a look at values", () => {
    const backend = graphBackend();
    if (!backend) throw new Error("no backend");
    const [x, other] = [random([2], 1), random([2], 2)];
    backend.getInputTensorIds([other]);
    expect(() => recordComputation(backend, [x], () => [tf.add(x, other)])).toThrow(/not given/);
    expect(() => recordComputation(backend, [x], () => [tf.scalar(x.dataSync()[0] ?? 0)])).toThrow(
      /looks at values/,
    );
    tf.dispose([x, other]);
  });
});
