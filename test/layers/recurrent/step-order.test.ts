import { beforeAll, expect, it } from "vitest";
import { ensureEngine } from "../../../src/engine/backend.ts";
import { graphBackend, recordComputation } from "../../../src/engine/graph/whole-graph.ts";
import { tf } from "../../../src/engine/tf.ts";
import { atPlaces, orderedSteps, stepOrder } from "../../../src/layers/recurrent/step-order.ts";

const isNative = process.env["KERAS_FINETUNE_ENGINE"] === "native";
const [batch, time] = [4, 5];
const shown = [
  [1, 1, 1, 0, 0],
  [0, 1, 0, 0, 1],
  [0, 0, 0, 0, 0],
  [1, 0, 1, 1, 0],
];

beforeAll(async () => {
  await ensureEngine();
});

it.runIf(isNative).each([
  [false, false],
  [false, true],
  [true, false],
  [true, true],
])(
  "steps have the order in a graph that the mask's values give: backwards %s, zeros where hidden %s",
  (backwards, zeros) => {
    const backend = graphBackend();
    if (!backend) throw new Error("no backend");
    tf.tidy(() => {
      const inputs = [
        tf.reshape(tf.range(1, batch * time + 1), [batch, time, 1]),
        tf.tensor2d(shown, [batch, time], "bool"),
        tf.fill([batch, 1], -1),
      ] as const;
      const [sequence, mask, start] = inputs;
      /** The sequence in the order of its steps, as far as it is shown, and what is found at the places of its steps. */
      const found = (): tf.Tensor[] => {
        const order = stepOrder([batch, time], backwards, mask);
        const steps = orderedSteps(sequence, order);
        return [
          tf.slice(steps, 0, 3),
          atPlaces(steps, start, order.places("every", zeros), [time]),
          atPlaces(steps, start, order.places("last", zeros), []),
        ];
      };
      const { results, load } = recordComputation(backend, inputs, found);
      const graph = load();
      const values = (tensors: readonly tf.Tensor[]): unknown[] =>
        tensors.map((tensor) => tensor.arraySync());
      expect(values(graph.run(inputs))).toEqual(values(found()));
      expect(values(results)).toEqual(values(found()));
      graph.dispose();
    });
  },
);
