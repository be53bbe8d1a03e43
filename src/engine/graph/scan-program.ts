/** @file A loop over time and its gradient as graphs, which are made from one recorded step. */
import type { NativeBackend } from "../native-engine.ts";
import { apart } from "../tape.ts";
import { tf } from "../tf.ts";
import type { NativeGraph } from "./native-graph.ts";
import { loadGraph } from "./native-graph.ts";
import { recordOperations } from "./recorded-operations.ts";
import type { BackwardPlan, ScanInputs, ScanPlan, ScanStep, StepFunction } from "./scan-plan.ts";
import { named, planOf } from "./scan-plan.ts";
import type { LoopBody } from "./while-loop.ts";
import { loopGraph } from "./while-loop.ts";

type Tensors = readonly tf.Tensor[];

export interface Scanned {
  /** The outputs of every step, `[T, …]`. */
  readonly outputs: Tensors;
  /** The values of every step that the gradient reads; none without a gradient. */
  readonly residuals: Tensors;
  /** The states after the last step. */
  readonly states: Tensors;
}

/** The gradients of a scan's inputs. Null stands for zeros. */
export interface ScanGradients {
  readonly sequences: readonly (tf.Tensor | null)[];
  readonly states: Tensors;
  readonly weights: readonly (() => tf.Tensor | null)[];
}

/** A scan for inputs of certain shapes. It runs for any number of steps. */
export interface ScanProgram {
  run(inputs: ScanInputs): Scanned;
  /** Computes the gradients from what `run` read and returned, and from the gradients of its outputs and states. */
  gradients(inputs: ScanInputs, results: Scanned, given: ScanStep): ScanGradients;
  dispose(): void;
}

/** Makes the program of a scan, with its gradient if asked for. The step is computed once for that. */
export function scanProgram(
  backend: NativeBackend,
  inputs: ScanInputs,
  step: StepFunction,
  hasGradient: boolean,
): ScanProgram {
  const plans: ScanPlan[] = [];
  apart(() =>
    tf.tidy(() => {
      const stands = standIns(inputs);
      plans.push(recordOperations(backend, (recorder) => planOf(recorder, stands, step, hasGradient)));
    }),
  );
  const { forward, backward, outputs, residuals } = plans[0] as ScanPlan;
  const graph = load(backend, forward, false);
  const reverse = backward && load(backend, backward.body, true);
  return {
    run: ({ sequences, states, weights, factors }) => {
      const results = graph.run([...sequences, ...states, ...weights, ...factors]);
      const [kept, all] = [outputs.length, outputs.length + residuals.length];
      return {
        outputs: results.slice(0, kept),
        residuals: results.slice(kept, all),
        states: results.slice(all),
      };
    },
    gradients: (read, results, given) => {
      if (!reverse || !backward) throw new Error("scan: a program without a gradient");
      const known = new Map([
        ...named(read),
        ...outputs.map((name, index) => [name, results.outputs[index]] as const),
        ...residuals.map((name, index) => [name, results.residuals[index]] as const),
        ...given.outputs.map((tensor, index) => [`dy${index}`, tensor] as const),
      ]) as ReadonlyMap<string, tf.Tensor>;
      return backwardRun(reverse, backward, known, read, given.states);
    },
    dispose: () => {
      graph.dispose();
      reverse?.dispose();
    },
  };
}

function load(backend: NativeBackend, body: LoopBody, backwards: boolean): NativeGraph {
  const { nodes, inputs, results } = loopGraph(body, backwards);
  return loadGraph(backend, nodes, inputs, results);
}

/** Returns tensors of their own for one step. */
function standIns({ sequences, ...others }: ScanInputs): ScanInputs {
  const copies = (tensors: Tensors): Tensors =>
    tensors.map((tensor) => (tensor.dtype === "bool" ? tf.logicalNot(tensor) : tf.mul(tensor, 1)));
  const { states, weights, factors } = others;
  const first = sequences.map((sequence) => tf.squeeze(tf.slice(sequence, 0, 1), [0]));
  return {
    sequences: copies(first),
    states: copies(states),
    weights: copies(weights),
    factors: copies(factors),
  };
}

function backwardRun(
  graph: NativeGraph,
  { body, sequences, weights }: BackwardPlan,
  known: ReadonlyMap<string, tf.Tensor>,
  read: ScanInputs,
  laterStates: Tensors,
): ScanGradients {
  const the = (name: string): tf.Tensor => {
    const tensor = known.get(name);
    if (!tensor) throw new Error(`scan: no value ${name}`);
    return tensor;
  };
  const sums = weights.flatMap((each, index) => (each?.kind === "sum" ? [index] : []));
  const zeros = sums.map((index) => tf.zerosLike(read.weights[index] as tf.Tensor));
  const results = graph.run([...body.steps.map(the), ...laterStates, ...zeros, ...body.same.map(the)]);
  const outputs = new Map(body.outputs.map((name, index) => [name, results[index] as tf.Tensor]));
  const states = results.slice(body.outputs.length);
  const whole = (name: string): tf.Tensor => outputs.get(name) ?? the(name);
  const rows = (name: string): tf.Tensor2D => {
    const { shape } = whole(name);
    return tf.reshape(whole(name), [-1, shape.at(-1) ?? 1]);
  };
  const added = new Map(sums.map((index, place) => [index, states[laterStates.length + place]] as const));
  return {
    sequences: sequences.map((name) => (name === null ? null : whole(name))),
    states: states.slice(0, laterStates.length),
    weights: weights.map((each, index) => () => {
      switch (each?.kind) {
        case "product":
          return tf.matMul(rows(each.a), rows(each.b), true);
        case "bias":
          return tf.engine().runKernel("BiasAddGrad", { dy: rows(each.of) });
        case "sum":
          return added.get(index) ?? null;
        default:
          return null;
      }
    }),
  };
}
