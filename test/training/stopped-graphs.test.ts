/** A run whose steps are graphs, ended in the middle of an epoch: what it leaves, and the bits it goes on to. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { ensureEngine } from "../../src/engine/backend.ts";
import { nativeBackend } from "../../src/engine/native-engine.ts";
import { tf } from "../../src/engine/tf.ts";
import type { Callback } from "../../src/training/callbacks/callback.ts";
import type { TrainingState } from "../../src/training/state.ts";
import { smallPhase, trainSmall } from "./small-run.ts";

const optimizer = {
  class_name: "Adam",
  config: { use_ema: true, gradient_accumulation_steps: 3, global_clipnorm: 0.5 },
};
const phases = [
  smallPhase({ epochs: 2, optimizer: "SGD", validation: false }),
  smallPhase({ epochs: 2, optimizer, validation: false }),
];

beforeAll(async () => {
  await ensureEngine();
  process.env["KERAS_FINETUNE_GRAPH"] = "always";
});

afterEach(giveRoom);

afterAll(() => {
  delete process.env["KERAS_FINETUNE_GRAPH"];
});

/** Keeps the state of each epoch, and calls `strike` when a step of a phase's second epoch has ended. */
function keeper(states: TrainingState[], strike: () => void): Callback {
  return {
    name: "keep",
    stepEnd: ({ phase, epoch, step }) => {
      if (phase === 2 && epoch === 4 && step === 2) strike();
    },
    epochEnd: (_, { state }) => void states.push(structuredClone(state())),
  };
}

/** Lets graphs end as TensorFlow ends one that finds no room. Not by a spy: what takes the place of a function of the binding cannot be taken away again. */
function takeRoom(): void {
  const binding = nativeBackend()?.binding;
  if (!binding) throw new Error("no native engine");
  const value = (): never => {
    throw new Error(
      "Invalid TF_Status: 8\nMessage: OOM when allocating tensor with shape[6,7] and type float",
    );
  };
  Object.defineProperty(binding, "runSavedModel", { value, configurable: true });
}

function giveRoom(): void {
  const binding = nativeBackend()?.binding;
  if (binding) Reflect.deleteProperty(binding, "runSavedModel");
}

describe.runIf(process.env["KERAS_FINETUNE_ENGINE"] === "native")("a run of graphs", () => {
  test.each([
    [
      "a signal",
      () => {
        const controller = new AbortController();
        return { strike: () => controller.abort(new Error("stopped")), signal: controller.signal };
      },
      { message: "stopped" },
    ],
    [
      "TensorFlow that finds no room",
      () => ({ strike: takeRoom, signal: undefined }),
      {
        code: "out-of-memory",
        message: expect.stringMatching(/^memory: expected room for a tensor of \[6,7\], got none\. Lower /),
      },
    ],
  ])(
    "that %s ends within an epoch keeps the epochs before, and goes on to the same bits",
    async (_, begin, expected) => {
      const straight = await trainSmall(phases, [keeper([], () => {})]);
      const before = tf.memory().numTensors;
      const states: TrainingState[] = [];
      const { strike, signal } = begin();
      const { stopped, history } = await trainSmall(phases, [keeper(states, strike)], { signal });
      expect(stopped).toMatchObject(expected);
      expect(history).toHaveLength(3);
      expect(tf.memory().numTensors).toBe(before);
      giveRoom();
      const resumed = await trainSmall(phases, [keeper([], () => {})], { from: states.at(-1) });
      expect(resumed.weights).toEqual(straight.weights);
      expect(resumed.history.map(({ loss }) => loss)).toEqual(straight.history.map(({ loss }) => loss));
    },
  );
});
