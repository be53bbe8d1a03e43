/**
 * @file Training steps as TensorFlow graphs on the native engine: the forward pass, the loss and the backward pass of a batch in one call,
 * where otherwise each operation is a call of its own.
 */
import type { NativeGraph } from "../engine/graph/native-graph.ts";
import type { RecordedComputation, Recording } from "../engine/graph/whole-graph.ts";
import { recordComputation } from "../engine/graph/whole-graph.ts";
import type { NativeBackend } from "../engine/native-engine.ts";
import { tf } from "../engine/tf.ts";
import { MachineError } from "../errors.ts";
import type { WeightNames } from "../model/graph-inputs.ts";
import { backendForGraph, graphInputs, graphRun, shapesKey, weightNames } from "../model/graph-inputs.ts";
import type { Program } from "../model/program.ts";
import type { ContextOf } from "../model/run-program.ts";
import type { TrainingProgram } from "../model/training-program.ts";
import { forward } from "../model/training-step.ts";
import type { LayerWeights } from "../model/uploads.ts";
import type { GivenOutput, JudgedOutput, UploadedTargets } from "../task/judgement.ts";
import { disposeTargets, judgedOutputs, uploadedTargets } from "../task/judgement.ts";
import type { Objective } from "../task/objective.ts";
import { layerLookup } from "../topology/layer-graph.ts";
import { recurrentClass } from "../topology/specs/recurrent.ts";
import type { Batch } from "./batch.ts";
import type { ComputedStep, WeightGradient } from "./computed-step.ts";
import { stepOfTensors, stepTensors } from "./computed-step.ts";
import type { RecordedDraws } from "./recorded-draws.ts";
import { recordedDraws } from "./recorded-draws.ts";
import { agree, stepSample } from "./step-sample.ts";

/**
 * Steps of one number of samples from which on a graph is worth making. Making it and its first run cost about what it saves on ten steps
 * of a network, on twenty with a recurrent layer, on two hundred of a few other layers, whose steps take a millisecond: a run of those
 * would be over before.
 */
const leastSteps = { network: 24, fewLayers: 1024 } as const;
const fewLayers = 24;
/** Graphs that a program has at most, for a caller whose batches have ever other shapes. */
const mostGraphs = 8;

/**
 * Returns how many steps some epochs take, by the number of samples of the batch. They follow from the run's arguments alone, so that a
 * run that is resumed computes each step as one that was never stopped.
 */
export function stepCounts(samples: number, batchSize: number, epochs: number): ReadonlyMap<number, number> {
  return new Map([
    [samples % batchSize, epochs],
    [batchSize, epochs * Math.floor(samples / batchSize)],
  ]);
}

/** Returns true if every step becomes a graph that can, as tests ask for. */
function isAlways(): boolean {
  return process.env["KERAS_FINETUNE_GRAPH"] === "always";
}

export interface StepGraphOptions {
  readonly training: TrainingProgram;
  /** The objective of batches that have none of their own. */
  readonly objective: Objective;
  /** The number of steps that will be taken, by the number of samples of the batch; batches of other sizes never become graphs. */
  readonly steps: ReadonlyMap<number, number>;
  /** Returns the model's outputs of what the program gives. */
  readonly givenBy: (
    tensors: readonly tf.Tensor[],
    masks: readonly (tf.Tensor | undefined)[],
  ) => readonly GivenOutput[];
}

/** The graphs of a program's training steps. */
export interface StepGraphs {
  /** The number of graphs. */
  readonly count: number;
  /**
   * Computes a step, or returns null where it does not run as a graph. The first step of a shape is computed both ways: where a graph
   * gives other numbers, the steps of that shape stay calls.
   */
  run(batch: Batch, weights: LayerWeights, contextOf: ContextOf): ComputedStep | null;
  dispose(): void;
}

interface MadeGraph {
  readonly graph: NativeGraph;
  readonly names: WeightNames;
  readonly draws: RecordedDraws;
  readonly form: ComputedStep;
}

/** A step that has no graph yet. */
interface NewStep extends Pick<MadeGraph, "names"> {
  readonly key: string;
  readonly inputs: readonly tf.Tensor[];
  readonly contextOf: ContextOf;
  compute(contextOf: ContextOf, recording: Recording): ComputedStep;
}

export function stepGraphs({
  training,
  objective: tailObjective,
  steps,
  givenBy,
}: StepGraphOptions): StepGraphs {
  // Null where a step does not run as a graph. Each shape for itself: what is refused late must not change other steps.
  const made = new Map<string, MadeGraph | null>();
  const objectives = new Map<Objective, number>();
  const isRefused = training.program.graph.activityPenalties !== undefined;
  const least = leastSteps[isSmall(training.program) ? "fewLayers" : "network"];
  const isWorthwhile = (samples: number, objective: Objective): boolean =>
    (objective === tailObjective && (steps.get(samples) ?? 0) >= least) || isAlways();

  const compute = (
    objective: Objective,
    features: readonly tf.Tensor[],
    targets: readonly (UploadedTargets | null)[],
    weights: LayerWeights,
    contextOf: ContextOf,
    { beginPart, keepOrder }: Recording,
  ): ComputedStep => {
    const pass = forward(training, features, weights, (node, layer) => {
      beginPart();
      return contextOf(node, layer);
    });
    beginPart();
    let parts: readonly JudgedOutput[];
    try {
      parts = judgedOutputs(objective, givenBy(pass.outputs, pass.outputMasks), targets, { gradients: true });
    } catch (error) {
      pass.dispose();
      throw error;
    }
    const slopes = parts.flatMap(({ gradient }) => gradient ?? []);
    const gradients: WeightGradient[] = [];
    let shared: { readonly path: string; readonly addends: WeightGradient["addends"] } | undefined;
    keepOrder();
    pass.backwardNow(slopes, (path, name, gradient, addends) => {
      if (shared?.path !== path)
        shared = {
          path,
          addends: addends ? { values: addends.values.clone(), rows: addends.rows.clone() } : null,
        };
      gradients.push({ path, name, gradient: gradient.clone(), addends: shared.addends });
      beginPart();
    });
    tf.dispose(slopes);
    return { parts, state: pass.state, gradients };
  };

  /** Computes the step by calls, makes the graph of it, and returns what that computes if it is the same. */
  const both = (
    backend: NativeBackend,
    { key, names, inputs, contextOf, compute: computeStep }: NewStep,
  ): ComputedStep | null => {
    let draws: RecordedDraws | undefined;
    let form: ComputedStep | undefined;
    try {
      const recorded = recordComputation(backend, inputs, (recording) => {
        const own = recordedDraws(contextOf, recording.take);
        draws = own;
        return tf.tidy(() => {
          form = computeStep(own.contextOf, recording);
          return stepTensors(form);
        });
      });
      if (!draws || !form) throw new Error("step: nothing was recorded");
      const accepted = verified(recorded, form, [...inputs, ...draws.drawn]);
      made.set(key, accepted ? { graph: accepted.graph, names, draws, form: accepted.step } : null);
      return accepted?.step ?? null;
    } catch (error) {
      if (error instanceof MachineError) throw error;
      made.set(key, null);
      return null;
    } finally {
      tf.dispose([...(draws?.drawn ?? [])]);
    }
  };

  return {
    get count() {
      return [...made.values()].filter((graph) => graph !== null).length;
    },
    run: ({ objective = tailObjective, ...batch }, weights, contextOf) => {
      if (isRefused || !isWorthwhile(batch.features[0]?.shape[0] ?? 0, objective)) return null;
      if (objective.outputs.some(({ loss }) => loss?.isOwn)) return null;
      const backend = backendForGraph(batch.features);
      if (!backend) return null;
      const ofObjective = objectives.get(objective) ?? objectives.size;
      objectives.set(objective, ofObjective);
      const ofTargets = batch.targets.map((own) =>
        own ? shapesKey(own.weights ? [own.targets, own.weights] : [own.targets]) : "none",
      );
      const key = [ofObjective, shapesKey(batch.features), ...ofTargets].join("|");
      const known = made.get(key);
      if (known === null || (!known && made.size >= mostGraphs)) return null;
      const uploads = uploadedTargets(objective, batch.targets);
      try {
        const fed = [...batch.features, ...uploads.flatMap((own) => (own ? tensorsOf(own) : []))];
        const names = known?.names ?? weightNames(weights);
        const inputs = graphInputs(fed, weights, names);
        if (!known) {
          return both(backend, {
            ...{ key, names, inputs, contextOf },
            compute: (context, recording) =>
              compute(objective, batch.features, uploads, weights, context, recording),
          });
        }
        const drawn = known.draws.again(contextOf);
        try {
          const found = graphRun(known.graph, [...inputs, ...drawn]);
          return found && stepOfTensors(known.form, found);
        } finally {
          tf.dispose(drawn);
        }
      } finally {
        disposeTargets(uploads);
      }
    },
    dispose: () => {
      for (const each of made.values()) each?.graph.dispose();
      made.clear();
    },
  };
}

/** Returns true for a few layers, none of which takes many steps of its own. */
function isSmall({ graph, nodes }: Program): boolean {
  const layerOf = layerLookup(graph);
  return (
    nodes.length < fewLayers && !nodes.some(({ layer }) => recurrentClass.test(layerOf(layer).className))
  );
}

function tensorsOf({ targets, weights }: UploadedTargets): readonly tf.Tensor[] {
  return weights ? [targets, weights] : [targets];
}

/**
 * Returns the graph with what it computes if that agrees with the calls, whose results are released before it runs: both would not find
 * room where one does.
 */
function verified(
  { results, load }: RecordedComputation,
  form: ComputedStep,
  inputs: readonly tf.Tensor[],
): { readonly graph: NativeGraph; readonly step: ComputedStep } | undefined {
  const called = stepSample(stepOfTensors(form, results));
  tf.dispose([...results]);
  let graph: NativeGraph | undefined;
  let found: tf.Tensor[] = [];
  try {
    graph = load();
    found = graph.run(inputs);
    const step = stepOfTensors(form, found);
    if (agree(called, stepSample(step))) return { graph, step };
  } catch {
    // What the operations can do one by one goes on so, also where a graph finds no room.
  }
  tf.dispose(found);
  graph?.dispose();
  return undefined;
}
