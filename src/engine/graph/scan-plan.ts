/** @file The plan of a scan: one recorded step and its gradient as the bodies of two loops. */
import type { Recording } from "../tape.ts";
import { record } from "../tape.ts";
import { tf } from "../tf.ts";
import type { GraphNode } from "./graph-messages.ts";
import { dataType } from "./graph-messages.ts";
import { packing } from "./packed-values.ts";
import type { Recorder } from "./recorded-operations.ts";
import type { LoopBody } from "./while-loop.ts";

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
  /** The number of steps to take, an int32 scalar, all if it is absent. Outputs of the steps behind are zeros. */
  readonly count?: tf.Tensor;
}

/** The outputs that are kept of a step, and the states that the next one reads. */
export interface ScanStep {
  readonly outputs: Tensors;
  readonly states: Tensors;
}

/** Computes a step from the tensors that it is given and from no others, without looking at values. */
export type StepFunction = (inputs: ScanInputs) => ScanStep;

/** Way to the gradient of a weight: one operation for all steps, or a sum that is added up step by step. */
type WeightGradient =
  | { readonly kind: "product"; readonly a: string; readonly b: string }
  | { readonly kind: "bias"; readonly of: string }
  | { readonly kind: "sum"; readonly of: string };

/** The loops of a scan. */
export interface ScanPlan {
  readonly forward: LoopBody;
  /** Names of the outputs, and of the values besides that the gradient reads of every step. */
  readonly outputs: readonly string[];
  readonly residuals: readonly string[];
  readonly backward: BackwardPlan | undefined;
}

/** The loop of the gradients, and where they are found. */
export interface BackwardPlan {
  readonly body: LoopBody;
  readonly sequences: readonly (string | null)[];
  readonly weights: readonly (WeightGradient | null)[];
}

/** Returns the inputs with the names that stand for them. */
export function named({ sequences, states, weights, factors }: ScanInputs): (readonly [string, tf.Tensor])[] {
  const all = { x: sequences, state: states, weight: weights, factor: factors };
  return Object.entries(all).flatMap(([kind, tensors]) =>
    tensors.map((tensor, index) => [`${kind}${index}`, tensor] as const),
  );
}

/** One step as operations on names. */
interface RecordedStep {
  readonly recording: Recording<readonly tf.Tensor[]>;
  readonly nodes: readonly GraphNode[];
  readonly steps: readonly string[];
  readonly states: readonly string[];
  /** Names of weights and factors. */
  readonly same: readonly string[];
  readonly outputs: readonly string[];
  /** Names of the next states. */
  readonly after: readonly string[];
}

/** The gradients of one step as operations on names. */
interface RecordedGradient {
  readonly nodes: readonly GraphNode[];
  readonly sequences: readonly (string | null)[];
  readonly states: readonly (string | null)[];
  readonly weights: readonly (WeightGradient | null)[];
}

/** Records a step, with its gradient if asked for, and returns the loops that repeat it. */
export function planOf(
  recorder: Recorder,
  stands: ScanInputs,
  step: StepFunction,
  hasGradient: boolean,
): ScanPlan {
  const recorded = recordStep(recorder, stands, step, hasGradient);
  const forward: LoopBody = {
    nodes: recorded.nodes,
    constants: [...recorder.constants],
    steps: recorded.steps,
    states: recorded.states.map((name, index) => [name, recorded.after[index] ?? ""]),
    same: recorded.same,
    outputs: recorded.outputs,
    typeOf: recorder.typeOf,
    shapeOf: recorder.shapeOf,
  };
  return hasGradient
    ? planWithGradient(recorder, forward, recorded, recordGradient(recorder, stands, recorded))
    : { forward, outputs: recorded.outputs, residuals: [], backward: undefined };
}

function recordStep(
  recorder: Recorder,
  stands: ScanInputs,
  step: StepFunction,
  hasGradient: boolean,
): RecordedStep {
  const given = named(stands);
  for (const [name, tensor] of given) recorder.give(tensor, name);
  let outputCount = 0;
  const recording = record(() => {
    const { outputs, states } = step(stands);
    outputCount = outputs.length;
    return [...outputs, ...states];
  }, hasGradient && sourcesOf(stands));
  const names = recording.result.map(recorder.nameOf);
  const ofKind = (kind: string): string[] =>
    given.map(([name]) => name).filter((name) => name.startsWith(kind));
  return {
    recording,
    nodes: [...recorder.nodes],
    steps: ofKind("x"),
    states: ofKind("state"),
    same: [...ofKind("weight"), ...ofKind("factor")],
    outputs: names.slice(0, outputCount),
    after: names.slice(outputCount),
  };
}

function sourcesOf({ sequences, states, weights }: ScanInputs): Tensors {
  return [...sequences, ...states, ...weights];
}

/** Records the gradients of a step, from that of each output, `dy0` …, and of each next state, `later0` …. */
function recordGradient(
  recorder: Recorder,
  stands: ScanInputs,
  { recording, nodes, outputs }: RecordedStep,
): RecordedGradient {
  const results = recording.result;
  const dys = results.map(({ shape }, index) => {
    const dy = tf.zeros(shape);
    const isOutput = index < outputs.length;
    recorder.give(dy, isOutput ? `dy${index}` : `later${index - outputs.length}`);
    return dy;
  });
  const found = recording
    .gradients(results, dys, sourcesOf(stands))
    .map((gradient) => gradient && recorder.nameOf(gradient));
  const ownNodes = recorder.nodes.slice(nodes.length);
  const firstState = stands.sequences.length;
  const firstWeight = firstState + stands.states.length;
  return {
    nodes: ownNodes,
    sequences: found.slice(0, firstState),
    states: found.slice(firstState, firstWeight),
    weights: found.slice(firstWeight).map((name) => (name === null ? null : weightGradient(name, ownNodes))),
  };
}

function planWithGradient(
  recorder: Recorder,
  forward: LoopBody,
  { outputs, same }: RecordedStep,
  gradient: RecordedGradient,
): ScanPlan {
  const { sequences, states, weights } = gradient;
  const wholes = weights.flatMap((each) =>
    each?.kind === "product" ? [each.a, each.b] : each?.kind === "bias" ? [each.of] : [],
  );
  const sums = weights.flatMap((each, index) =>
    each?.kind === "sum" ? [{ before: `sum${index}`, after: `sum${index}/added`, addend: each.of }] : [],
  );
  const wanted = [...sequences, ...states].filter((name) => name !== null);
  const leaves = leavesOf([...wanted, ...wholes, ...sums.map(({ addend }) => addend)], gradient.nodes);
  const made = new Set(recorder.constants.map(({ name }) => name));
  const isStep = (name: string): boolean =>
    !made.has(name) && !same.includes(name) && !/^later\d+$/.test(name);
  const steps = [...new Set(["dy0", ...[...leaves].filter(isStep)])];
  const residuals = steps.filter((name) => !/^(x|dy)\d+$/.test(name) && !outputs.includes(name));
  const packed = packing(
    residuals.filter((name) => !wholes.includes(name)),
    recorder,
  );
  const withPack = (names: readonly string[]): string[] => [
    ...names.filter((name) => !packed.members.includes(name)),
    ...packed.names,
  ];
  const added = sums.map(({ before, after, addend }) => ({
    ...{ name: after, op: "AddV2", input: [before, addend] },
    attr: { T: { type: recorder.typeOf(addend) } },
  }));
  const zeros = states.flatMap((name, index) =>
    name === null
      ? [
          {
            name: `zeros${index}`,
            op: "ZerosLike",
            input: [`later${index}`],
            attr: { T: { type: dataType.float } },
          },
        ]
      : [],
  );
  const body: LoopBody = {
    nodes: [
      ...packed.unpack,
      ...[...gradient.nodes, ...added, ...zeros].map((node) => ({
        ...node,
        input: node.input.map(packed.unpacked),
      })),
    ],
    constants: [...recorder.constants, ...packed.constants],
    steps: withPack(steps),
    states: [
      ...states.map((name, index) => [`later${index}`, packed.unpacked(name ?? `zeros${index}`)] as const),
      ...sums.map(({ before, after }) => [before, after] as const),
    ],
    same: same.filter((name) => leaves.has(name)),
    outputs: [...new Set([...sequences.filter((name) => name !== null), ...wholes])].filter(
      (name) => !steps.includes(name),
    ),
    typeOf: recorder.typeOf,
    shapeOf: packed.shapeOf,
  };
  const kept = withPack(residuals);
  return {
    forward: {
      ...forward,
      nodes: [...forward.nodes, ...packed.pack],
      constants: [...forward.constants, ...packed.constants],
      outputs: [...outputs, ...kept],
      shapeOf: packed.shapeOf,
    },
    outputs,
    residuals: kept,
    backward: { body, sequences, weights },
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
