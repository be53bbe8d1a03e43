/** @file A loop over time and its gradient as graphs, which are made from one recorded step. */
import type { NativeBackend } from "../native-engine.ts";
import { apart } from "../tape.ts";
import { tf } from "../tf.ts";
import type { NativeGraph } from "./native-graph.ts";
import { loadGraph } from "./native-graph.ts";
import { recordOperations } from "./recorded-operations.ts";
import type { BackwardPlan, ScanInputs, ScanPlan, StepFunction } from "./scan-plan.ts";
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

/** The gradients of a scan's outputs, null for one that nothing depends on, and of its last states. */
export interface GivenGradients {
  readonly outputs: readonly (tf.Tensor | null)[];
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
  gradients(inputs: ScanInputs, results: Scanned, given: GivenGradients): ScanGradients;
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
  const isCounted = inputs.count !== undefined;
  const load = (body: LoopBody, backwards: boolean): NativeGraph => {
    const loop = loopGraph(body, backwards, isCounted);
    return loadGraph(backend, loop.nodes, loop.inputs, loop.results);
  };
  const graph = load(forward, false);
  const reverses = new Map<string, Reverse>();
  /** Returns the backward loop for gradients of some of the outputs. It is loaded when it is first asked for. */
  const reverseFor = (absent: readonly string[]): Reverse => {
    if (!backward) throw new Error("scan: a program without a gradient");
    const key = absent.join();
    const loaded = reverses.get(key);
    if (loaded) return loaded;
    const body = withoutGradients(backward.body, absent);
    const reverse = { plan: { ...backward, body }, graph: load(body, true) };
    reverses.set(key, reverse);
    return reverse;
  };
  return {
    run: ({ sequences, states, weights, factors, count }) => {
      const results = graph.run([...sequences, ...states, ...weights, ...factors, ...(count ? [count] : [])]);
      const [kept, all] = [outputs.length, outputs.length + residuals.length];
      return {
        outputs: results.slice(0, kept),
        residuals: results.slice(kept, all),
        states: results.slice(all),
      };
    },
    gradients: (read, results, given) => {
      const dys = given.outputs.map((tensor, index) => [`dy${index}`, tensor] as const);
      const absent = dys.flatMap(([name, tensor]) => (tensor ? [] : [name]));
      const { graph: reverse, plan } = reverseFor(absent);
      // An absent gradient that the loop reads all the same is zero.
      const zeros = (name: string, index: number): tf.Tensor | undefined =>
        plan.body.steps.includes(name) ? tf.zerosLike(results.outputs[index] as tf.Tensor) : undefined;
      const known = new Map([
        ...named(read),
        ...outputs.map((name, index) => [name, results.outputs[index]] as const),
        ...residuals.map((name, index) => [name, results.residuals[index]] as const),
        ...dys.map(([name, tensor], index) => [name, tensor ?? zeros(name, index)] as const),
      ]) as ReadonlyMap<string, tf.Tensor>;
      return backwardRun(reverse, plan, known, read, given.states);
    },
    dispose: () => {
      graph.dispose();
      for (const { graph: reverse } of reverses.values()) reverse.dispose();
      reverses.clear();
    },
  };
}

/** A backward loop on the engine. */
interface Reverse {
  readonly plan: BackwardPlan;
  readonly graph: NativeGraph;
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
  const count = read.count ? [read.count] : [];
  const results = graph.run([
    ...body.steps.map(the),
    ...laterStates,
    ...zeros,
    ...body.same.map(the),
    ...count,
  ]);
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

/**
 * Returns a backward loop that does not read the `absent` gradients, each of which is zero, where all that it does with them is to
 * add them to others. One step of the sequences stays in any case: it tells the number of steps.
 */
function withoutGradients(body: LoopBody, absent: readonly string[]): LoopBody {
  const isAbsent = (name: string): boolean => absent.includes(name);
  const isAddend = (name: string): boolean =>
    body.nodes.every(
      ({ op, input }) => !input.includes(name) || (isSum(op) && input.filter(isAbsent).length === 1),
    );
  const left = absent.filter(isAddend);
  const steps = body.steps.filter((name) => !left.includes(name));
  if (left.length === 0 || steps.length === 0) return body;
  const nodes = body.nodes.map((node) => {
    const others = node.input.filter((name) => !left.includes(name));
    return others.length === 1 && node.input.length === 2 ? { ...node, op: "Identity", input: others } : node;
  });
  return { ...body, nodes, steps };
}

function isSum(op: string): boolean {
  return op === "Add" || op === "AddV2";
}
