/**
 * @file Training steps as TensorFlow graphs on the native engine: the forward pass, the loss and the backward pass of a batch in one call,
 * where otherwise each operation is a call of its own.
 */
import type { NativeGraph } from "../engine/graph/native-graph.ts";
import type { RecordedComputation } from "../engine/graph/whole-graph.ts";
import { recordComputation } from "../engine/graph/whole-graph.ts";
import type { NativeBackend } from "../engine/native-engine.ts";
import { tf } from "../engine/tf.ts";
import { MachineError } from "../errors.ts";
import { graphRun, hasFewCalls } from "../model/graph-inputs.ts";
import type { Program } from "../model/program.ts";
import type { ContextOf } from "../model/run-program.ts";
import { layerLookup } from "../topology/layer-graph.ts";
import { recurrentClass } from "../topology/specs/recurrent.ts";
import type { CalledStep } from "./called-step.ts";
import { calledStep } from "./called-step.ts";
import type { ComputedStep } from "./computed-step.ts";
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

/** Returns the number of steps from which on a graph of a program, or of some calls of a model, is worth making. */
export function leastStepsOf(program: Pick<Program, "graph" | "nodes">): number {
  return leastSteps[isSmall(program) ? "fewLayers" : "network"];
}

/** Returns true for a few layers, none of which takes many steps of its own. */
function isSmall({ graph, nodes }: Pick<Program, "graph" | "nodes">): boolean {
  const layerOf = layerLookup(graph);
  return hasFewCalls({ nodes }) && !nodes.some(({ layer }) => recurrentClass.test(layerOf(layer).className));
}

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

/** A step that was recorded, and runs again. */
export interface RecordedStep {
  /**
   * Takes the inputs of the step, then what is drawn for it, and returns tensors that the caller owns; null where it cannot, and the step
   * is to be computed by calls.
   */
  readonly run: (inputs: readonly tf.Tensor[]) => tf.Tensor[] | null;
  readonly dispose: () => void;
  readonly draws: RecordedDraws;
  readonly form: ComputedStep;
}

/**
 * Computes a step by calls, makes the graph of it, and returns both the graph and what it computes if that is the same; null otherwise.
 * @param inputs All that the step reads.
 */
export function graphOfStep(
  backend: NativeBackend,
  called: CalledStep,
  inputs: readonly tf.Tensor[],
  contextOf: ContextOf,
): { readonly recorded: RecordedStep; readonly step: ComputedStep } | null {
  let draws: RecordedDraws | undefined;
  let form: ComputedStep | undefined;
  try {
    const recorded = recordComputation(backend, inputs, (recording) => {
      const own = recordedDraws(contextOf, recording.take);
      draws = own;
      return tf.tidy(() => {
        form = calledStep(called, own.contextOf, recording);
        return stepTensors(form);
      });
    });
    if (!draws || !form) throw new Error("step: nothing was recorded");
    const accepted = verified(recorded, form, [...inputs, ...draws.drawn]);
    if (!accepted) return null;
    const { graph, step } = accepted;
    const run: RecordedStep["run"] = (given) => graphRun(graph, given);
    return { recorded: { run, dispose: () => graph.dispose(), draws, form }, step };
  } catch (error) {
    if (error instanceof MachineError) throw error;
    return null;
  } finally {
    tf.dispose([...(draws?.drawn ?? [])]);
  }
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
