import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Checkpoint, Weight } from "../../src/checkpoint.ts";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { fileOptimizer, stateOfTrained } from "../../src/training/file-optimizer.ts";
import { optimizerConfig } from "../../src/training/optimizer-config.ts";
import { optimizerVariables, readOptimizerState } from "../../src/training/optimizer-variables.ts";
import { createTrainer } from "../../src/training/trainer.ts";
import { isWhole } from "../sample.ts";

const folder = join(import.meta.dirname, "..", "..", "fixtures", "models");
/** Files whose optimizers have taken steps, of every layout; their variables have names but in a .keras. */
const files = readdirSync(folder).filter(
  (name) => /-(?:sequential|compiled-\w+)(?:-h5|-v3)?\.(?:h5|keras)$/.test(name) && !/k122|nested/.test(name),
);
const read = (name: string): Promise<Checkpoint> => readCheckpoint(join(folder, name));
/** What a slot is called in the names of variables; Keras 2.0 to 2.3 number them. */
const words: Readonly<Record<string, readonly string[]>> = {
  momentum: ["m", "momentum"],
  velocity: ["v", "velocity"],
};

describe("the slots of a file are those that its variables' names say", () => {
  test.each(isWhole ? files : files.filter((name) => /k29|k215|k224|k3-/.test(name)))("%s", async (name) => {
    const checkpoint = await read(name);
    const { state } = fileOptimizer(checkpoint);
    const variables = checkpoint.optimizerWeights as readonly Weight[];
    expect(state?.iterations).toBe(Number(variables[0]?.data[0]));
    expect(state?.iterations).toBeGreaterThan(0);
    for (const { layer, weight, tensors } of state?.slots ?? []) {
      const own = checkpoint.weights.get(layer)?.find((each) => each.name === weight);
      for (const [slot, tensor] of Object.entries(tensors)) {
        expect(tensor.shape).toEqual(own?.shape);
        const parts = (variable: string): string[] => variable.replace(":0", "").split(/[/_]/);
        const called = variables.find((variable) => {
          const said = parts(variable.name);
          const isSlot = (words[slot] ?? [slot]).some((word) => said.includes(word));
          return (
            isSlot &&
            [...parts(layer), ...parts(weight)].every((part) => said.includes(part)) &&
            sameData(variable, tensor)
          );
        });
        if (!/^\d+$|Variable/.test(variables.at(-1)?.name ?? ""))
          expect(called, `${layer}/${weight} ${slot}`).toBeDefined();
      }
    }
  });
});

function sameData(variable: Weight, tensor: { readonly data: ArrayLike<unknown> }): boolean {
  return Array.from(variable.data as ArrayLike<number>).every((value, index) => value === tensor.data[index]);
}

describe("what is written is read again", () => {
  const names = ["Adam", "RMSprop", "SGD", "Adagrad", "Ftrl"];
  test.each(["keras3", "keras2", "legacy"] as const)("in the order of %s", async (layout) => {
    const checkpoint = await read("k3-compiled-adamw.keras");
    for (const name of names) {
      const own = name === "SGD" || name === "RMSprop" ? { momentum: 0.5 } : {};
      const config = optimizerConfig({ class_name: name, config: own });
      const fresh = { className: name, iterations: 7, learningRate: null, slots: [] };
      const optimizerWeights = optimizerVariables(checkpoint, config, fresh, layout).map((variable, index) =>
        variable.shape.length === 0
          ? variable
          : {
              ...variable,
              data: Float32Array.from(variable.data as Float32Array, (_, at) => index + at / 64),
            },
      );
      const state = readOptimizerState({ ...checkpoint, optimizerWeights }, config, layout);
      expect(state?.iterations).toBe(7);
      const again = optimizerVariables(checkpoint, config, state ?? fresh, layout);
      expect(again).toEqual(optimizerWeights);
    }
  });
});

describe("a weight that the file's optimizer has not trained is refused by name", () => {
  test.each([
    [
      "a new head",
      ["out"],
      /^out\/kernel: optimizer file: .* because the layer is new\. keepHead: true keeps/,
    ],
    [
      "a frozen layer",
      [],
      /^out\/kernel: optimizer file: .* because the layer was frozen\. Freeze it here too/,
    ],
  ] as const)("%s", async (_, newLayers, message) => {
    const optimizer = fileOptimizer(await read("k3-compiled-adamw.keras"));
    const trained = new Map([["out", ["kernel"]]]);
    const config = optimizerConfig(optimizer.argument);
    expect(() => stateOfTrained(optimizer, config, trained, newLayers)).toThrow(message);
  });

  test("and a file that is not compiled, or of Keras 1, is refused", async () => {
    const plain = await read("k3-shapes.keras");
    expect(() => fileOptimizer(plain)).toThrow("optimizer file: expected a file that is compiled");
    const early = await read("k122-sequential.h5");
    expect(() => fileOptimizer(early)).toThrow("expected a file of Keras 2 or 3, got one of Keras 1.2.2");
  });
});

test("a trainer goes on with the optimizer of its checkpoint, whose variables its copy leaves out", async () => {
  const checkpoint = await read("k3-compiled-adamw.keras");
  const trainer = await createTrainer(checkpoint, { optimizer: "file" });
  const { optimizer } = trainer.state();
  expect(optimizer.className).toBe("AdamW");
  expect(optimizer.iterations).toBe(Number(checkpoint.optimizerWeights?.[0]?.data[0]));
  expect(optimizer.slots[0]?.tensors["momentum"]?.data).toEqual(checkpoint.optimizerWeights?.[2]?.data);
  expect("optimizerWeights" in trainer.checkpoint()).toBe(false);
  trainer.dispose();
});
