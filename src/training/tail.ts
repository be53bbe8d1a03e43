import type { Weights } from "../checkpoint.ts";
import { fetchValues } from "../engine/scalars.ts";
import { tf } from "../engine/tf.ts";
import { repeatable } from "../engine/webgpu/repeatable.ts";
import type { Partition } from "../freeze/partition.ts";
import { withValues } from "../lazy-tensor.ts";
import type { OnGradient } from "../model/backward-pass.ts";
import type { Program } from "../model/program.ts";
import { programBetween } from "../model/program.ts";
import { programRunner } from "../model/program-runner.ts";
import type { ContextOf } from "../model/run-program.ts";
import { inferenceContext } from "../model/run-program.ts";
import { trainingProgram } from "../model/training-program.ts";
import { forward } from "../model/training-step.ts";
import type { LayerWeights } from "../model/uploads.ts";
import { disposeWeights, uploadWeights } from "../model/uploads.ts";
import type { GivenOutput } from "../task/judgement.ts";
import { judge, takeScores } from "../task/judgement.ts";
import type { Objective } from "../task/objective.ts";
import type { GraphLayer, LayerGraph } from "../topology/layer-graph.ts";
import { lossInputs } from "../topology/layer-graph.ts";
import { withLogitsOutputs } from "../topology/rewrites/logits-output.ts";
import type { Batch } from "./batch.ts";
import type { ComputedStep } from "./computed-step.ts";
import { stepTensors } from "./computed-step.ts";
import type { Updates } from "./finite-update.ts";
import { finiteUpdate } from "./finite-update.ts";
import type { BatchFigures } from "./judged-batch.ts";
import { judgedBatch } from "./judged-batch.ts";
import { lossPenalties } from "./loss-penalties.ts";
import {
  averagedWeights,
  heldWeights,
  keepWeights,
  movedPlaces,
  movedTensors,
  snapshotOf,
} from "./moved-weights.ts";
import { firstNonFiniteLayer, firstNonFiniteWeight } from "./non-finite.ts";
import { createOptimizer } from "./optimizer.ts";
import type { OptimizerConfig } from "./optimizer-config.ts";
import { callNumbers, randomStream } from "./random-stream.ts";
import type { PlannedSteps } from "./recorded-steps.ts";
import { recordedSteps } from "./recorded-steps.ts";
import { withPenaltyGradient } from "./regularizers.ts";
import type { Snapshot } from "./snapshot.ts";
import type { OptimizerState, TailState } from "./state.ts";
import type { TensorPlace } from "./tensor-mark.ts";
import { constraintsOf, weightRules } from "./weight-rules.ts";

/** The dynamic part of a model with its trained weights and optimizer state on the engine. */
export interface Tail {
  readonly objective: Objective;
  /** The rate of the coming step. Setting it is refused where the optimizer has a schedule. */
  learningRate: number;
  /** Steps taken: where the streams of random numbers are. */
  readonly steps: number;
  /** The number of graphs that steps run as. */
  readonly graphs: number;
  /** The number of recorded steps whose kernels are called again. */
  readonly replays: number;
  /** One update; with `finite` none where the loss is not. The figures are from before it. */
  trainOnBatch(batch: Batch, learningRate?: number, updates?: Updates): Promise<BatchFigures>;
  /**
   * Judges in inference mode, with the moving averages of weights where the optimizer keeps them. `observed` reads every trained
   * output, also one that no metric is computed from.
   */
  evaluateBatch(batch: Batch, options?: { readonly observed?: boolean }): Promise<BatchFigures>;
  /**
   * Brings what snapshots and states consist of off a GPU. On one, what `snapshot`, `state` and `optimizerState` give can be read
   * after this and before the next step; elsewhere it can always be read.
   */
  fetch(): Promise<void>;
  /**
   * Returns the weights that training moves as they are now: trainable ones, by their moving averages where the optimizer keeps
   * them, and moving statistics.
   */
  snapshot(): Snapshot;
  state(): TailState;
  /** Returns the optimizer's part of `state`, each tensor of which is read when its values are asked for, until the next step. */
  optimizerState(): OptimizerState;
  /** Returns the state without copying any tensor: each is read when its values are asked for, until the next step. */
  heldState(): TailState;
  /** Takes what `state` returned. */
  restore(state: TailState): void;
  /** The layer whose output is the first that is not finite for this batch, null if none is. */
  firstNonFinite(batch: Batch): Promise<GraphLayer | null>;
  /**
   * Returns `layer/weight` of the first moved weight with values that are not finite, null if there is none. The loss need not show
   * it: WebAssembly's convolutions and pools turn NaN into -Infinity, of which ReLU makes 0.
   */
  nonFiniteWeight(): Promise<string | null>;
  dispose(): void;
}

export interface TailOptions {
  readonly graph: LayerGraph;
  readonly partition: Partition;
  readonly weights: Weights;
  readonly optimizer: OptimizerConfig;
  readonly objective: Objective;
  readonly seed: number;
  /** Steps that earlier phases have taken; 0. */
  readonly firstStep?: number;
  /** Factor on the learning rate by layer path; 1 for a layer that is absent. */
  readonly rateFactors?: ReadonlyMap<string, number>;
  /** The steps that will be taken: from many on they run as a graph. None by default. */
  readonly plannedSteps?: PlannedSteps;
  /** The number of batches that will be judged, by their number of samples: from many on they run as a graph. */
  readonly plannedJudging?: ReadonlyMap<number, number>;
  /** False to compute each step by calls of layers that is no graph, which gives the same bits. */
  readonly replays?: boolean;
}

export function createTail(options: TailOptions): Tail {
  const { seed } = options;
  const { graph, outputs: logits } = withLogitsOutputs(
    options.graph,
    (node) => options.partition.sides[node.index] === "dynamic",
  );
  const program = programBetween(graph, options.partition.frontier, lossInputs(graph));
  const partition = reaching(options.partition, program);
  const training = trainingProgram(
    program,
    partition.trainableWeights,
    (path) => !partition.batchStatistics.has(path),
  );
  const weights = uploadWeights(
    options.weights,
    program.nodes.map((node) => node.layer),
  );
  const rules = weightRules(graph, partition);
  const optimizer = createOptimizer(options.optimizer, {
    weights,
    trainable: partition.trainableWeights,
    lookups: training.lookups,
    constraints: constraintsOf(rules),
    ...(options.rateFactors && { rateFactors: options.rateFactors }),
  });
  const penalties = lossPenalties(graph, rules, partition.trainableWeights, options.weights);
  const moved = new Map([...partition.trainableWeights].map(([path, names]) => [path, new Set(names)]));
  const calls = callNumbers(graph);
  const judgingRunner = programRunner(program, inferenceContext, 0, options.plannedJudging);
  let step = options.firstStep ?? 0;

  const trainingContext: ContextOf = (node, layer) => ({
    training: partition.sides[node.index] === "dynamic",
    statistics: partition.batchStatistics.has(layer.path) ? "batch" : "stored",
    random: randomStream(seed, step, calls[node.index]!),
    keras: layer.keras,
  });

  /** Each of the model's outputs with its mask, and what its activities add. */
  const givenBy = (
    tensors: readonly tf.Tensor[],
    masks: readonly (tf.Tensor | undefined)[],
  ): { given: GivenOutput[]; activities: readonly tf.Tensor[] } => ({
    given: logits.map((how, index) => ({ ...how, values: tensors[index]!, mask: masks[index] })),
    activities: tensors.slice(logits.length),
  });
  const recorded = recordedSteps({
    training,
    objective: options.objective,
    steps: options.plannedSteps ?? new Map(),
    replays: options.replays ?? true,
    givenBy: (tensors, masks) => givenBy(tensors, masks).given,
  });
  /** The weights that the model is judged and kept by. */
  const judgedWeights = (): LayerWeights =>
    optimizer.keepsAverages ? averagedWeights(weights, optimizer.average) : weights;

  /** Returns the places of all that a step changes but the counts. */
  const places = (): TensorPlace[] => [...movedPlaces(weights, moved), ...optimizer.places()];
  const heldState = (): TailState => ({
    weights: heldWeights(weights, moved),
    optimizer: optimizer.state(),
    steps: step,
  });

  const keepState = (states: ComputedStep["state"]): void => {
    for (const [path, state] of states) {
      keepWeights(weights.get(path)!, state);
      const names = moved.get(path) ?? new Set<string>();
      for (const name of Object.keys(state)) names.add(name);
      moved.set(path, names);
    }
  };
  const update: OnGradient = (path, name, raw, addends) => {
    const own = rules.find((rule) => rule.path === path && rule.name === name);
    const weight = weights.get(path)![name]!;
    const whole = own?.penalty ? withPenaltyGradient(own.penalty, weight, raw) : raw;
    optimizer.apply(path, name, whole, own?.penalty ? undefined : addends);
    if (own?.penalty) whole.dispose();
  };
  /** Ends a step that has been judged, or is being: `passBack` hands over its gradients, by which the weights are updated. */
  const endStep = (
    figures: BatchFigures | Promise<BatchFigures>,
    learningRate: number | undefined,
    updates: Updates,
    passBack: (onGradient: OnGradient) => void | Promise<void>,
  ): Promise<BatchFigures> => {
    step++;
    optimizer.beginStep(learningRate);
    return finiteUpdate(figures, updates, places, async (isUpdated) => {
      await passBack(isUpdated ? update : () => {});
      optimizer.endStep();
    });
  };

  /** Judges a step that was computed as a whole, and updates the weights by its gradients. */
  const takeStep = async (
    computed: ComputedStep,
    { features, targets, objective = options.objective }: Batch,
    learningRate: number | undefined,
    updates: Updates,
  ): Promise<BatchFigures> => {
    try {
      keepState(computed.state);
      const [scores, penalty] = await Promise.all([
        takeScores(objective, features[0]?.shape[0] ?? 0, targets, computed.parts),
        penalties.total(weights, []),
      ]);
      return await endStep({ ...scores, penalty }, learningRate, updates, (onGradient) => {
        for (const { path, name, gradient, addends } of computed.gradients) {
          onGradient(path, name, gradient, addends ?? undefined);
          gradient.dispose();
        }
      });
    } finally {
      tf.dispose(stepTensors({ ...computed, state: new Map() }));
    }
  };

  return {
    objective: options.objective,
    get graphs() {
      return recorded.graphs;
    },
    get replays() {
      return recorded.replays;
    },
    get learningRate() {
      return optimizer.learningRate;
    },
    set learningRate(rate: number) {
      optimizer.learningRate = rate;
    },
    get steps() {
      return step;
    },
    trainOnBatch: async (batch, learningRate, updates = "always") => {
      const computed = recorded.run(batch, weights, trainingContext, step);
      if (computed) return takeStep(computed, batch, learningRate, updates);
      const pass = await repeatable(() => forward(training, batch.features, weights, trainingContext));
      keepState(pass.state);
      const { targets, objective = options.objective } = batch;
      const { given, activities } = givenBy(pass.outputs, pass.outputMasks);
      const { ofOutputs, figures } = await judgedBatch(pass, objective, { given, targets }, () =>
        penalties.total(weights, activities),
      );
      const gradients = [...ofOutputs, ...penalties.gradients(activities)];
      return endStep(figures, learningRate, updates, async (onGradient) => {
        await pass.backward(gradients, onGradient);
        tf.dispose(gradients);
      });
    },
    evaluateBatch: async (batch, { observed = false } = {}) => {
      const judging = judgedWeights();
      const { outputs, masks } = await repeatable(() => judgingRunner.run(batch.features, judging));
      const { targets, objective = options.objective } = batch;
      const { given, activities } = givenBy(outputs, masks);
      const [{ scores }, penalty] = await Promise.all([
        judge(objective, given, targets, { observed }),
        penalties.total(judging, activities),
      ]);
      tf.dispose([...outputs, ...masks] as tf.Tensor[]);
      return { ...scores, penalty };
    },
    fetch: () => {
      const ofWeights = [weights, judgedWeights()].flatMap((all) => movedTensors(all, moved));
      return fetchValues([...ofWeights, ...optimizer.tensors()]);
    },
    snapshot: () => snapshotOf(judgedWeights(), moved),
    optimizerState: () => optimizer.state(),
    heldState,
    state: () => withValues(heldState()),
    restore: (state) => {
      for (const [path, layer] of uploadWeights(state.weights, state.weights.keys())) {
        const holder = weights.get(path);
        if (holder) keepWeights(holder, layer);
        else tf.dispose(layer);
        moved.set(path, new Set([...(moved.get(path) ?? []), ...Object.keys(layer)]));
      }
      optimizer.restore(state.optimizer);
      step = state.steps;
    },
    firstNonFinite: ({ features }) => firstNonFiniteLayer(program, features, weights),
    nonFiniteWeight: () => firstNonFiniteWeight(weights, moved),
    dispose: () => {
      judgingRunner.dispose();
      recorded.dispose();
      optimizer.dispose();
      disposeWeights(weights);
    },
  };
}

/** Without the weights of layers that nothing leads from to the output: no gradient comes to them. */
function reaching(partition: Partition, { nodes }: Program): Partition {
  const run = new Set(nodes.map((node) => node.layer));
  const reached = [...partition.trainableWeights].filter(([path]) => run.has(path));
  return { ...partition, trainableWeights: new Map(reached) };
}
