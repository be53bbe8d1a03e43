/** A small network with Dropout, data for it, and training phases over both. */
import type { Checkpoint, Weights } from "../../src/checkpoint.ts";
import { withWeights } from "../../src/checkpoint.ts";
import { cutModel } from "../../src/features/cut.ts";
import { tensorRows } from "../../src/features/sample-rows.ts";
import { glorotUniform, randomGenerator } from "../../src/random.ts";
import { float32Tensor } from "../../src/tensor.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";
import type { Callback } from "../../src/training/callbacks/callback.ts";
import type { Examples } from "../../src/training/example-set.ts";
import type { OptimizerArgument } from "../../src/training/optimizer-config.ts";
import { optimizerConfig } from "../../src/training/optimizer-config.ts";
import { createTail } from "../../src/training/tail.ts";
import type { Trained, TrainingPhase, TrainOptions } from "../../src/training/train.ts";
import { train } from "../../src/training/train.ts";
import { layer, sequential } from "../sequential.ts";
import { objectiveWith } from "../task/objective.ts";

const [inputs, hidden, classes] = [5, 7, 3];

/** Returns a Dense layer with a bias. */
export const dense = (name: string, units: number, activation: string) =>
  layer("Dense", { name, units, activation, use_bias: true });

/** Returns the network: two Dense layers with Dropout between them. */
export function smallCheckpoint(): Checkpoint {
  const generator = randomGenerator(3);
  const weights = (rows: number, columns: number) => [
    { name: "kernel", ...float32Tensor(glorotUniform([rows, columns], generator), [rows, columns]) },
    { name: "bias", ...float32Tensor(new Float32Array(columns), [columns]) },
  ];
  return sequential(
    "small",
    [inputs],
    [
      dense("hidden", hidden, "relu"),
      layer("Dropout", { name: "drop", rate: 0.3 }),
      dense("out", classes, "softmax"),
    ],
    new Map([
      ["hidden", weights(inputs, hidden)],
      ["out", weights(hidden, classes)],
    ]),
  );
}

/** Returns samples whose class is that of the largest of their first three values. */
export function smallExamples(samples: number, seed: number): Examples {
  const random = randomGenerator(seed);
  const x = Float32Array.from({ length: samples * inputs }, () => 2 * random.nextFloat() - 1);
  const targets = new Float32Array(samples * classes);
  for (let row = 0; row < samples; row++) {
    const values = [...x.subarray(row * inputs, row * inputs + classes)];
    targets[row * classes + values.indexOf(Math.max(...values))] = 1;
  }
  return {
    features: [tensorRows(float32Tensor(x, [samples, inputs]))],
    targets: [{ targets: float32Tensor(targets, [samples, classes]) }],
  };
}

export interface SmallPhase {
  readonly epochs: number;
  readonly optimizer?: OptimizerArgument;
  readonly callbacks?: () => readonly Callback[];
  readonly validation?: boolean;
  readonly examples?: Examples;
}

/** Returns a phase that trains all of the network. */
export function smallPhase(options: SmallPhase): TrainingPhase {
  const checkpoint = smallCheckpoint();
  const cut = cutModel(layerGraph(checkpoint), { frozen: new Set(), bnMode: "follow", newLayers: new Set() });
  const optimizer = optimizerConfig(options.optimizer ?? "Adam", undefined, 0.01);
  return {
    epochs: options.epochs,
    open: (moved: Weights, firstStep: number) => {
      const tail = createTail({
        ...cut,
        weights: withWeights(checkpoint, moved).weights,
        optimizer,
        objective: objectiveWith(layerGraph(checkpoint), "categorical_crossentropy", ["accuracy"]),
        seed: 1,
        firstStep,
      });
      return {
        tail,
        examples: options.examples ?? smallExamples(20, 1),
        validation: options.validation === false ? null : smallExamples(9, 2),
        callbacks: options.callbacks?.() ?? [],
        close: () => tail.dispose(),
      };
    },
  };
}

export function trainSmall(
  phases: readonly TrainingPhase[],
  callbacks: readonly Callback[],
  options: Partial<TrainOptions> = {},
): Promise<Trained> {
  return train(phases, {
    batchSize: 6,
    seed: 1,
    callbacks,
    checkpointOf: (moved) => withWeights(smallCheckpoint(), moved),
    ...options,
  });
}
