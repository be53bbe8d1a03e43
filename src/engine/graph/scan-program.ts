/** @file A loop over time and its gradient as graphs, which are made from one recorded step. */
import type { NativeBackend } from "../native-engine.ts";
import { apart, record } from "../tape.ts";
import { tf } from "../tf.ts";
import type { GraphNode } from "./graph-messages.ts";
import type { NativeGraph } from "./native-graph.ts";
import { loadGraph } from "./native-graph.ts";
import { packing } from "./packed-values.ts";
import type { Recorder } from "./recorded-operations.ts";
import { recordOperations } from "./recorded-operations.ts";
import type { LoopBody } from "./while-loop.ts";
import { loopGraph } from "./while-loop.ts";

type Tensors = readonly tf.Tensor[];

/** Tensors that a scan reads; for one of its steps, the step of each sequence. */
export interface ScanInputs {
  /** Sequences of one length, `[T, …]`. */
  readonly sequences: Tensors;
  /** The states before the first step. */
  readonly states: Tensors;
  /** Tensors that are the same at every step and have a gradient. */
  readonly weights: Tensors;
  /** Tensors that are the same at every step and have no gradient. */
  readonly factors: Tensors;
}

/** The outputs that are kept of a step, and the states that the next one reads. */
export interface ScanStep {
  readonly outputs: Tensors;
  readonly states: Tensors;
}

/** Computes a step from the tensors that it is given and from no others, without looking at values. */
export type StepFunction = (inputs: ScanInputs) => ScanStep;

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

/** Way to the gradient of a weight: one operation for all steps, or a sum that is added up step by step. */
type WeightGradient =
  | { readonly kind: "product"; readonly a: string; readonly b: string }
  | { readonly kind: "bias"; readonly of: string }
  | { readonly kind: "sum"; readonly of: string };

interface Plan {
  readonly forward: LoopBody;
  readonly outputs: readonly string[];
  readonly residuals: readonly string[];
  readonly backward: BackwardPlan | undefined;
}

interface BackwardPlan {
  readonly body: LoopBody;
  readonly sequences: readonly (string | null)[];
  readonly weights: readonly (WeightGradient | null)[];
}

/** Makes the program of a scan, with its gradient if asked for. The step is computed once for that. */
export function scanProgram(
  backend: NativeBackend,
  inputs: ScanInputs,
  step: StepFunction,
  hasGradient: boolean,
): ScanProgram {
  const plans: Plan[] = [];
  apart(() =>
    tf.tidy(() => {
      const stands = standIns(inputs);
      plans.push(recordOperations(backend, (recorder) => planOf(recorder, stands, step, hasGradient)));
    }),
  );
  const { forward, backward, outputs, residuals } = plans[0] as Plan;
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

/** Returns the inputs with the names that stand for them. */
function named({ sequences, states, weights, factors }: ScanInputs): (readonly [string, tf.Tensor])[] {
  const all = { x: sequences, state: states, weight: weights, factor: factors };
  return Object.entries(all).flatMap(([kind, tensors]) =>
    tensors.map((tensor, index) => [`${kind}${index}`, tensor] as const),
  );
}

function planOf(recorder: Recorder, stands: ScanInputs, step: StepFunction, hasGradient: boolean): Plan {
  for (const [tensor, name] of named(stands).map(([name, tensor]) => [tensor, name] as const)) {
    recorder.give(tensor, name);
  }
  const { sequences, states, weights } = stands;
  const sources = [...sequences, ...states, ...weights];
  let outputCount = 0;
  const recording = record(() => {
    const { outputs, states: next } = step(stands);
    outputCount = outputs.length;
    return [...outputs, ...next];
  }, hasGradient && sources);
  const results = recording.result;
  const names = results.map(recorder.nameOf);
  const [outputs, after] = [names.slice(0, outputCount), names.slice(outputCount)];
  const nodes = [...recorder.nodes];
  const inputNames = named(stands).map(([name]) => name);
  const kindOf = (kind: string): string[] => inputNames.filter((name) => name.startsWith(kind));
  const fixed = [...kindOf("weight"), ...kindOf("factor")];
  const forwardWith = (residuals: readonly string[]): LoopBody => ({
    nodes,
    constants: [...recorder.constants],
    steps: kindOf("x"),
    states: kindOf("state").map((name, index) => [name, after[index] ?? ""]),
    same: fixed,
    outputs: [...outputs, ...residuals],
    typeOf: recorder.typeOf,
  });
  if (!hasGradient) return { forward: forwardWith([]), outputs, residuals: [], backward: undefined };

  const dys = results.map(({ shape }, index) => {
    const dy = tf.zeros(shape);
    recorder.give(dy, index < outputCount ? `dy${index}` : `later${index - outputCount}`);
    return dy;
  });
  const found = recording
    .gradients(results, dys, sources)
    .map((gradient) => gradient && recorder.nameOf(gradient));
  const ofSequences = found.slice(0, sequences.length);
  const ofStates = found.slice(sequences.length, sequences.length + states.length);
  const backwardNodes = recorder.nodes.slice(nodes.length);
  const ofWeights = found
    .slice(sequences.length + states.length)
    .map((name) => (name === null ? null : weightGradient(name, backwardNodes)));
  const whole = ofWeights.flatMap((each) =>
    each?.kind === "product" ? [each.a, each.b] : each?.kind === "bias" ? [each.of] : [],
  );
  const wanted = [...ofSequences, ...ofStates].filter((name) => name !== null);
  const sums = ofWeights.flatMap((each, index) =>
    each?.kind === "sum" ? [{ before: `sum${index}`, after: `sum${index}/added`, gradient: each.of }] : [],
  );
  const leaves = leavesOf([...wanted, ...whole, ...sums.map(({ gradient }) => gradient)], backwardNodes);
  const made = new Set(recorder.constants.map(({ name }) => name));
  const isStep = (name: string): boolean =>
    !made.has(name) && !fixed.includes(name) && !/^later\d+$/.test(name);
  const steps = [...new Set(["dy0", ...[...leaves].filter(isStep)])];
  const residuals = steps.filter((name) => !/^(x|dy)\d+$/.test(name) && !outputs.includes(name));
  const packed = packing(
    residuals.filter((name) => !whole.includes(name)),
    recorder,
  );
  const apartFromPack = (names: readonly string[]): string[] => [
    ...names.filter((name) => !packed.members.includes(name)),
    ...packed.names,
  ];
  const added: GraphNode[] = sums.map(({ before, after: name, gradient }) => ({
    name,
    op: "AddV2",
    input: [before, gradient],
    attr: { T: { type: recorder.typeOf(gradient) } },
  }));
  const zeros: GraphNode[] = ofStates.flatMap((name, index) =>
    name === null
      ? [
          {
            name: `zeros${index}`,
            op: "ZerosLike",
            input: [`later${index}`],
            attr: { T: { type: recorder.typeOf("dy0") } },
          },
        ]
      : [],
  );
  const body: LoopBody = {
    nodes: [
      ...packed.unpack,
      ...[...backwardNodes, ...added, ...zeros].map((node) => ({
        ...node,
        input: node.input.map(packed.unpacked),
      })),
    ],
    constants: [...recorder.constants, ...packed.constants],
    steps: apartFromPack(steps),
    states: [
      ...ofStates.map((name, index) => [`later${index}`, packed.unpacked(name ?? `zeros${index}`)] as const),
      ...sums.map(({ before, after: name }) => [before, name] as const),
    ],
    same: fixed.filter((name) => leaves.has(name)),
    outputs: [...new Set([...ofSequences.filter((name) => name !== null), ...whole])].filter(
      (name) => !steps.includes(name),
    ),
    typeOf: recorder.typeOf,
  };
  const kept = apartFromPack(residuals);
  const forward = forwardWith(kept);
  return {
    forward: {
      ...forward,
      nodes: [...nodes, ...packed.pack],
      constants: [...forward.constants, ...packed.constants],
    },
    outputs,
    residuals: kept,
    backward: { body, sequences: ofSequences, weights: ofWeights },
  };
}

/** Returns how a weight's gradient of one step becomes that of all steps. */
function weightGradient(name: string, nodes: readonly GraphNode[]): WeightGradient {
  const node = nodes.find((each) => each.name === name);
  const [a, b] = node?.input ?? [];
  const isSet = (flag: string): boolean => node?.attr[flag]?.b === true;
  const isProduct =
    (node?.op === "MatMul" && isSet("transpose_a") && !isSet("transpose_b")) ||
    (node?.op === "BatchMatMulV2" && isSet("adj_x") && !isSet("adj_y"));
  if (isProduct && a !== undefined && b !== undefined) return { kind: "product", a, b };
  return node?.op === "BiasAddGrad" && a !== undefined ? { kind: "bias", of: a } : { kind: "sum", of: name };
}

/** Returns the names on which others depend through nodes, and which none of the nodes gives. */
function leavesOf(names: readonly string[], nodes: readonly GraphNode[]): ReadonlySet<string> {
  const byName = new Map(nodes.map((node) => [node.name, node] as const));
  const [seen, leaves] = [new Set<string>(), new Set<string>()];
  const pending = [...names];
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (seen.has(name)) continue;
    seen.add(name);
    const node = byName.get(name.split(":")[0] ?? name);
    if (node) pending.push(...node.input);
    else leaves.add(name);
  }
  return leaves;
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
