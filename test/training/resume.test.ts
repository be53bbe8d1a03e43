import { beforeAll, describe, expect, test } from "vitest";
import type { Weights } from "../../src/checkpoint.ts";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import { tf } from "../../src/engine/tf.ts";
import { bestWeights } from "../../src/training/callbacks/best-weights.ts";
import { monitorOf } from "../../src/training/callbacks/monitor.ts";
import { patience } from "../../src/training/callbacks/stopping.ts";
import type { History } from "../../src/training/history.ts";
import { optimizerNames } from "../../src/training/optimizer-config.ts";
import type { TrainingState } from "../../src/training/state.ts";
import type { TrainingPhase } from "../../src/training/train.ts";
import type { SmallPhase } from "./small-run.ts";
import { smallPhase, trainSmall } from "./small-run.ts";

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});

interface Outcome {
  readonly weights: Weights;
  readonly history: History;
  readonly best: Weights | null;
  readonly bestEpoch: number;
  /** After each epoch. */
  readonly states: readonly TrainingState[];
}

async function run(phases: readonly TrainingPhase[], from?: TrainingState): Promise<Outcome> {
  const monitor = monitorOf("val_loss");
  const best = bestWeights(monitor);
  const states: TrainingState[] = [];
  const keep = {
    name: "keep",
    epochEnd: (_: unknown, { state }: { state(): TrainingState }) => void states.push(state()),
  };
  const { weights, history } = await trainSmall(phases, [best, patience(monitor, 3), keep], { from });
  const outcome = {
    weights,
    history: timeless(history),
    best: best.weights(),
    bestEpoch: best.epoch,
    states,
  };
  best.dispose();
  return outcome;
}

/** A run that is stopped takes other seconds. */
function timeless(history: History): History {
  return history.map((epoch) => ({ ...epoch, seconds: 0 }));
}

/** Every state of a run leads to what the run came to. */
async function expectSameEnd(phases: readonly SmallPhase[]): Promise<Outcome> {
  const before = tf.memory().numTensors;
  const plan = phases.map(smallPhase);
  const straight = await run(plan);
  expect(straight.states.length).toBeGreaterThan(2);
  for (const state of straight.states) {
    const resumed = await run(plan, structuredClone(state));
    expect(resumed.weights).toEqual(straight.weights);
    expect(resumed.history).toEqual(straight.history);
    expect([resumed.bestEpoch, resumed.best]).toEqual([straight.bestEpoch, straight.best]);
  }
  expect(tf.memory().numTensors).toBe(before);
  return straight;
}

describe("a run that goes on from any epoch ends with the same bits as one that was never stopped", () => {
  test.each(optimizerNames())("under %s", async (className) => {
    await expectSameEnd([
      { epochs: 4, optimizer: { class_name: className, config: { learning_rate: 0.02 } } },
    ]);
  });

  test("with a schedule, accumulation over epochs, an average of weights and clipping", async () => {
    const learning_rate = {
      class_name: "CosineDecay",
      config: { initial_learning_rate: 0.05, decay_steps: 14 },
    };
    const config = {
      learning_rate,
      gradient_accumulation_steps: 3,
      use_ema: true,
      ema_momentum: 0.8,
      global_clipnorm: 0.3,
    };
    await expectSameEnd([{ epochs: 5, optimizer: { class_name: "Adam", config } }]);
  });

  test("through phases, each with an optimizer of its own", async () => {
    const averaged = { class_name: "SGD", config: { learning_rate: 0.1, momentum: 0.9, use_ema: true } };
    const { history } = await expectSameEnd([
      { epochs: 2, optimizer: averaged },
      { epochs: 2, optimizer: "Nadam" },
      { epochs: 1, optimizer: "RMSprop" },
    ]);
    expect(history.map(({ phase }) => phase)).toEqual([1, 1, 2, 2, 3]);
  });

  test("where patience ends a phase early", async () => {
    const wild = { class_name: "SGD", config: { learning_rate: 30 } };
    const { history } = await expectSameEnd([{ epochs: 30, optimizer: wild }, { epochs: 2 }]);
    expect(history.length).toBeLessThan(30);
    expect(history.at(-1)?.phase).toBe(2);
  });
});

test("a run that is over trains no further, and more epochs go on from its last", async () => {
  const [short, long] = [smallPhase({ epochs: 2 }), smallPhase({ epochs: 4 })];
  const [finished, whole] = [await run([short]), await run([long])];
  const last = finished.states[1];
  const again = await run([short], last);
  expect(again.history).toEqual(finished.history);
  expect(again.weights).toEqual(finished.weights);
  const further = await run([long], last);
  expect(further.weights).toEqual(whole.weights);
  expect(further.history).toEqual(whole.history);
});

test("a state is asked for between epochs, not within one", async () => {
  const within = {
    name: "within",
    stepEnd: () => {
      asked?.();
    },
    begin: (run: { state(): TrainingState }) => {
      asked = () => run.state();
    },
  };
  let asked: (() => TrainingState) | undefined;
  await expect(trainSmall([smallPhase({ epochs: 1 })], [within])).rejects.toThrow("Ask in epochEnd");
});

test("the phases of a run do not draw the same random numbers", async () => {
  const losses: number[] = [];
  const still = { class_name: "SGD", config: { learning_rate: 0 } };
  const phase = smallPhase({ epochs: 1, optimizer: still });
  await trainSmall([phase, phase], [{ name: "losses", epochEnd: ({ loss }) => void losses.push(loss) }]);
  expect(losses[0]).not.toBe(losses[1]);
});
