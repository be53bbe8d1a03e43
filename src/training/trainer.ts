import type { BatchNormMode, Checkpoint, Weights } from "../checkpoint.ts";
import { withWeights } from "../checkpoint.ts";
import { inputsInOrder } from "../data/arrays.ts";
import type { Dataset, ModelInputs, ModelTargets, SampleWeights } from "../data/dataset.ts";
import { ensureEngine } from "../engine/backend.ts";
import { tf } from "../engine/tf.ts";
import { UsageError } from "../errors.ts";
import { cutCheckpoint } from "../features/cut.ts";
import { createTrunk, staticProgram } from "../features/trunk.ts";
import { withNamedWeights } from "../formats/named-weights.ts";
import type { FreezePolicy } from "../freeze/policy.ts";
import { uploadRows } from "../model/uploads.ts";
import type { OptionChecks } from "../options.ts";
import { oneOf, positiveNumber, requireOptions, wholeNumber } from "../options.ts";
import type { WeightByIndex } from "../task/class-weights.ts";
import { withClassWeights } from "../task/class-weights.ts";
import type { Figures } from "../task/figures.ts";
import { requireInputs } from "../task/inputs.ts";
import type { Objective } from "../task/objective.ts";
import { objectiveOf } from "../task/objective.ts";
import type { OutputTargets } from "../task/output-targets.ts";
import { scoreKeeper } from "../task/score-keeper.ts";
import { checkedTargets } from "../task/targets.ts";
import type { AskedTask, Task } from "../task/task.ts";
import { taskOf } from "../task/task-of.ts";
import { formatShape, sameShape } from "../tensor.ts";
import { orderedBatches, pickedTargets } from "./batches.ts";
import { fileOptimizer, stateOfTrained } from "./file-optimizer.ts";
import type { OptimizerArgument } from "./optimizer-config.ts";
import { optimizerConfig } from "./optimizer-config.ts";
import type { TrainingState } from "./state.ts";
import { createTail } from "./tail.ts";

export interface TrainerOptions {
  readonly freeze?: FreezePolicy | readonly FreezePolicy[];
  readonly bnMode?: BatchNormMode;
  /** Keras optimizer by name or config; `file` for that of the checkpoint, which goes on from its slots. Adam where absent. */
  readonly optimizer?: OptimizerArgument;
  readonly learningRate?: number;
  /** For every output, or by output name. By the file and the head where absent. */
  readonly loss?: AskedTask["loss"];
  /** Weight of each output's loss, in order or by output name; 1. */
  readonly lossWeights?: AskedTask["lossWeights"];
  /** For every output, or by output name. */
  readonly metrics?: AskedTask["metrics"];
  /** Metrics that sample weights count in. */
  readonly weightedMetrics?: AskedTask["metrics"];
  /** Weight of each class by its index; of several outputs by output name. */
  readonly classWeight?:
    | Readonly<Record<string, number>>
    | Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly seed?: number;
}

const trainerChecks: OptionChecks<TrainerOptions> = {
  freeze: null,
  bnMode: oneOf("inference", "follow", "freeze", "train"),
  optimizer: null,
  learningRate: positiveNumber,
  loss: null,
  lossWeights: null,
  metrics: null,
  weightedMetrics: null,
  classWeight: null,
  seed: wholeNumber(0),
};

/** The model on the engine, trunk and tail, a step at a time. Nothing is preprocessed. */
export interface Trainer {
  /**
   * Makes one update and returns the figures from before it, as Keras reports them: `loss` with the regularizers, each output's
   * loss where there are several, and every metric of this batch alone.
   */
  trainOnBatch(inputs: ModelInputs, targets: ModelTargets, options?: BatchOptions): Promise<TrainedBatch>;
  /** Returns the figures of samples in inference mode, over batches of 32, as Keras's `evaluate`. */
  evaluate(
    inputs: ModelInputs,
    targets: ModelTargets,
    options?: BatchOptions & { readonly batchSize?: number },
  ): Promise<TrainedBatch>;
  /** The rate of the coming step. Setting it is refused where the optimizer has a schedule. */
  learningRate: number;
  /**
   * Brings the weights and the optimizer's state off a GPU, where `state` and `checkpoint` can read them until the next step. Needed
   * on the webgpu engine only; elsewhere it does nothing.
   */
  fetch(): Promise<void>;
  /** Returns a copy of everything that the next step depends on. On webgpu, await `fetch` first. */
  state(): TrainingState;
  /** Takes what `state` returned, of a trainer with the same options. @throws {UsageError} where it is another model's. */
  restore(state: TrainingState): void;
  /**
   * Returns a copy of the model as it is now, by the moving averages of its weights where the optimizer keeps them. On webgpu, await
   * `fetch` first.
   */
  checkpoint(): Checkpoint;
  dispose(): void;
}

export interface BatchOptions {
  /** `[N]`, or one per position; for all outputs, for the outputs in order, or by output name. */
  readonly sampleWeights?: SampleWeights;
}

export type TrainedBatch = Figures & { readonly accuracy?: number };

/**
 * Puts a model on the engine for training a step at a time, with arrays that the caller prepares.
 * @throws {UsageError} for an option that is not known, a policy that matches nothing or freezes everything.
 * @throws {TopologyError} for a layer that cannot be computed here.
 *
 * @example
 * const trainer = await createTrainer(checkpoint, { freeze: freezeUntil("conv4"), learningRate: 1e-4 });
 * const { loss } = await trainer.trainOnBatch(images, classes);
 * const tuned = trainer.checkpoint();
 * trainer.dispose();
 */
export async function createTrainer(given: Checkpoint, options: TrainerOptions = {}): Promise<Trainer> {
  requireOptions(options, trainerChecks);
  const checkpoint = withNamedWeights(given);
  await ensureEngine();
  const { model: graph, cut } = cutCheckpoint(checkpoint, {
    freeze: options.freeze,
    bnMode: options.bnMode ?? "inference",
  });
  const { loss, lossWeights, metrics, weightedMetrics } = options;
  const objectiveFor = (dataset?: Dataset): Objective => {
    const task = taskOf(checkpoint, dataset, { loss, lossWeights, metrics, weightedMetrics });
    return objectiveOf(metrics === undefined ? withAccuracy(task) : task, graph, checkpoint.kerasVersion);
  };
  const seed = options.seed ?? 0;
  const trunk = createTrunk(staticProgram(cut, checkpoint.weights));
  const ofFile = options.optimizer === "file" ? fileOptimizer(checkpoint) : null;
  const optimizer = optimizerConfig(ofFile?.argument ?? options.optimizer ?? "Adam", options.learningRate);
  const tail = createTail({
    ...cut,
    weights: checkpoint.weights,
    optimizer,
    objective: objectiveFor(),
    seed,
    plannedSteps: "unknown",
  });
  const { trainableWeights } = cut.partition;
  const state =
    ofFile && stateOfTrained(ofFile, optimizer, trainableWeights, checkpoint.notes.newLayers ?? []);
  if (state) tail.restore({ weights: new Map(), optimizer: state, steps: 0 });
  // The first targets tell their form, where no loss says it.
  let known: Objective | undefined;
  const inputNames = graph.inputs.map((input) => input.name);
  const prepared = (given: ModelInputs, targets: ModelTargets, { sampleWeights }: BatchOptions) => {
    const inputs = requireInputs(inputsInOrder(given, inputNames), graph);
    known ??= objectiveFor({ kind: "arrays", inputs: given, targets });
    const samples = inputs[0]?.shape[0] ?? 0;
    return {
      inputs,
      samples,
      objective: known,
      targets: checkedTargets(known, targets, samples, sampleWeights),
    };
  };
  const inTurn = turns();
  return {
    trainOnBatch: inTurn(async (inputs, targets, batchOptions = {}) => {
      const { objective, ...batch } = prepared(inputs, targets, batchOptions);
      const feeds = batch.inputs.map((input) => uploadRows(input, 0, batch.samples));
      const features = await trunk.run(feeds);
      const weighted = withWeightsOfClasses(objective, batch.targets, options.classWeight);
      const scores = await tail.trainOnBatch({ features, targets: weighted, objective });
      tf.dispose([...feeds, ...features]);
      const keeper = scoreKeeper(objective);
      keeper.add(scores, scores.penalty);
      return keeper.figures();
    }),
    evaluate: inTurn(async (inputs, targets, { batchSize = 32, ...batchOptions } = {}) => {
      const { objective, samples, ...batch } = prepared(inputs, targets, batchOptions);
      const keeper = scoreKeeper(objective);
      for (const rows of orderedBatches(samples, batchSize)) {
        const [from = 0] = rows;
        const feeds = batch.inputs.map((input) => uploadRows(input, from, from + rows.length));
        const features = await trunk.run(feeds);
        const picked = batch.targets.map((own) => own && pickedTargets(own, rows));
        const scores = await tail.evaluateBatch({ features, targets: picked, objective });
        tf.dispose([...feeds, ...features]);
        keeper.add(scores, scores.penalty);
      }
      return keeper.figures();
    }),
    fetch: inTurn(() => tail.fetch()),
    get learningRate() {
      return tail.learningRate;
    },
    set learningRate(rate: number) {
      tail.learningRate = rate;
    },
    state: () => {
      const { weights, optimizer, steps } = tail.state();
      const counts = { phase: 1, epochs: 0, phaseEpochs: 0, iterations: steps, ended: null };
      return { weights, optimizer, counts, random: { seed, steps }, history: [], callbacks: {} };
    },
    restore: ({ weights, optimizer, random }) => {
      requireSameWeights(checkpoint, weights);
      tail.restore({ weights, optimizer, steps: random.steps });
    },
    checkpoint: () => {
      const snapshot = tail.snapshot();
      const weights = snapshot.read();
      snapshot.dispose();
      // The variables of an optimizer that the file may have are of the weights before.
      const { optimizerWeights: _stale, ...tuned } = withWeights(checkpoint, weights);
      return tuned;
    },
    dispose: () => {
      trunk.dispose();
      tail.dispose();
    },
  };
}

/** Returns what makes calls wait for those before them: a step that began on weights must move these. */
function turns(): <Given extends readonly unknown[], T>(
  call: (...given: Given) => Promise<T>,
) => (...given: Given) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (call) =>
    (...given) => {
      const result = last.then(() => call(...given));
      last = result.catch(() => {});
      return result;
    };
}

/** @throws {UsageError} naming the first weight that the model has not, or not in that shape. */
function requireSameWeights(checkpoint: Checkpoint, weights: Weights): void {
  for (const [path, layer] of weights) {
    for (const { name, shape } of layer) {
      const own = checkpoint.weights.get(path)?.find((weight) => weight.name === name);
      if (own && sameShape(own.shape, shape)) continue;
      throw new UsageError(
        `${path}/${name}: state: expected a weight of the model, got one of ${formatShape(shape)} that it ${own ? `has in ${formatShape(own.shape)}` : "lacks"}.`,
        "state-of-another-model",
      );
    }
  }
}

/** A step on several labels tells Keras's `accuracy` too. */
function withAccuracy(task: Task): Task {
  const outputs = task.outputs.map((output) =>
    output.kind === "labels" ? { ...output, metrics: ["accuracy", ...output.metrics] } : output,
  );
  return { ...task, outputs };
}

function withWeightsOfClasses(
  { outputs }: Objective,
  targets: readonly (OutputTargets | null)[],
  classWeight: TrainerOptions["classWeight"],
): readonly (OutputTargets | null)[] {
  if (!classWeight) return targets;
  return targets.map((own, index) => {
    const output = outputs[index];
    if (!own || !output) return own;
    const byName = (classWeight as Readonly<Record<string, WeightByIndex | number>>)[output.name];
    if (typeof byName === "object") return withClassWeights(output, own, byName);
    return outputs.length > 1 ? own : withClassWeights(output, own, classWeight as WeightByIndex);
  });
}
