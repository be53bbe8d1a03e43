import type { BatchNormMode, Checkpoint, Weights } from "../checkpoint.ts";
import { withWeights } from "../checkpoint.ts";
import { inputsInOrder } from "../data/arrays.ts";
import type { ModelInputs } from "../data/dataset.ts";
import { ensureEngine } from "../engine/backend.ts";
import { tf } from "../engine/tf.ts";
import { UsageError } from "../errors.ts";
import { cutCheckpoint } from "../features/cut.ts";
import { createTrunk, staticProgram } from "../features/trunk.ts";
import type { FreezePolicy } from "../freeze/policy.ts";
import { uploadRows } from "../model/uploads.ts";
import type { LossArgument } from "../task/loss-argument.ts";
import { lossOf } from "../task/losses.ts";
import { classIndices, outputShape, targetsFor } from "../task/targets.ts";
import type { Tensor } from "../tensor.ts";
import { formatShape, sameShape } from "../tensor.ts";
import type { OptimizerArgument } from "./optimizer-config.ts";
import { optimizerConfig } from "./optimizer-config.ts";
import type { TrainingState } from "./state.ts";
import { createTail } from "./tail.ts";

export interface TrainerOptions {
  readonly freeze?: FreezePolicy | readonly FreezePolicy[];
  readonly bnMode?: BatchNormMode;
  /** Adam */
  readonly optimizer?: OptimizerArgument;
  readonly learningRate?: number;
  /** categorical_crossentropy */
  readonly loss?: LossArgument;
  /** Weight of each class by its index. */
  readonly classWeight?: Readonly<Record<string, number>>;
  readonly seed?: number;
}

/** The model on the engine, trunk and tail, a step at a time. Nothing is preprocessed. */
export interface Trainer {
  /** One update; the figures are from before it, `loss` with the regularizers, as Keras reports it. */
  trainOnBatch(inputs: ModelInputs, targets: Tensor): Promise<{ loss: number; accuracy?: number }>;
  /** The rate of the coming step. Setting it is refused where the optimizer has a schedule. */
  learningRate: number;
  /** Returns a copy of everything that the next step depends on. */
  state(): TrainingState;
  /** Takes what `state` returned, of a trainer with the same options. @throws {UsageError} where it is another model's. */
  restore(state: TrainingState): void;
  /** A copy of the model as it is now, by the moving averages of its weights where the optimizer keeps them. */
  checkpoint(): Checkpoint;
  dispose(): void;
}

/**
 * @throws {UsageError} for an option that is not known, a policy that matches nothing or freezes everything.
 * @throws {TopologyError} for a layer that cannot be computed here.
 */
export async function createTrainer(checkpoint: Checkpoint, options: TrainerOptions = {}): Promise<Trainer> {
  await ensureEngine();
  const { model: graph, cut } = cutCheckpoint(checkpoint, {
    freeze: options.freeze,
    bnMode: options.bnMode ?? "inference",
  });
  const loss = lossOf(options.loss ?? "categorical_crossentropy");
  const seed = options.seed ?? 0;
  const trunk = createTrunk(staticProgram(cut, checkpoint.weights));
  const tail = createTail({
    ...cut,
    weights: checkpoint.weights,
    optimizer: optimizerConfig(options.optimizer ?? "Adam", options.learningRate),
    loss,
    seed,
    kerasVersion: checkpoint.kerasVersion,
  });
  const output = outputShape(graph);
  const inputNames = graph.inputs.map((input) => input.name);
  return {
    trainOnBatch: async (inputs, targets) => {
      const samples = targets.shape[0]!;
      const feeds = inputsInOrder(inputs, inputNames).map((input) => uploadRows(input, 0, samples));
      const features = trunk.run(feeds);
      const batch = {
        features,
        targets: uploadRows(targetsFor(targets, output, loss), 0, samples),
        ...(options.classWeight && {
          sampleWeights: tf.tensor1d(sampleWeights(targets, options.classWeight)),
        }),
      };
      const figures = tail.trainOnBatch(batch);
      tf.dispose([...feeds, ...features, batch.targets, batch.sampleWeights ?? []]);
      return {
        loss: figures.lossSum / samples + figures.penalty,
        ...(figures.correctSum !== null && { accuracy: figures.correctSum / (figures.counted || 1) }),
      };
    },
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
      return withWeights(checkpoint, weights);
    },
    dispose: () => {
      trunk.dispose();
      tail.dispose();
    },
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

/** Each sample's weight by its class: 1 for a class that `classWeight` does not name (`keras/src/trainers/data_adapters`). */
export function sampleWeights(targets: Tensor, classWeight: Readonly<Record<string, number>>): Float32Array {
  return Float32Array.from(classIndices(targets), (label) => classWeight[String(label)] ?? 1);
}
