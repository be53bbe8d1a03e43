/**
 * @file tfjs's tape as a value. tfjs records what an operation needs for its gradient and keeps all of it, with every
 * gradient, until the whole backward pass is done. Here each tensor is released at its last use, and a recording may be
 * as small as one layer.
 */
import { isDifferentiable, positionsRead, shapeOnly } from "./gradients/rule.ts";
import { gradientRule } from "./gradients/rules.ts";
import { tf } from "./tf.ts";
import { repeatable } from "./webgpu/repeatable.ts";

/** A function's result with what its gradients need. */
export interface Recording<T> {
  /** The result, which the caller owns. */
  readonly result: T;
  /**
   * Computes the gradients of the sum of `outputs[i] * outputGradients[i]` with respect to each of `sources`, null if
   * no output depends on a source. They equal tfjs's to the bit. An undefined output gradient counts as zero. The
   * caller owns the results and keeps `outputGradients`. A recording can be used once: a second call finds nothing.
   */
  gradients(
    outputs: readonly tf.Tensor[],
    outputGradients: readonly (tf.Tensor | undefined)[],
    sources: readonly tf.Tensor[],
  ): (tf.Tensor | null)[];
  /** Does the same, and waits for values that a gradient is computed from, which a GPU hands out in a later turn. */
  laterGradients(
    outputs: readonly tf.Tensor[],
    outputGradients: readonly (tf.Tensor | undefined)[],
    sources: readonly tf.Tensor[],
  ): Promise<(tf.Tensor | null)[]>;
  /** Releases what is kept for gradients, but not `result`. */
  dispose(): void;
}

/** One recorded operation. The tensors in `saved` are handles owned by the tape, in the array that `gradient` reads. */
interface TapeNode {
  readonly kernelName: string;
  readonly inputs: Readonly<Record<string, tf.Tensor>>;
  readonly outputs: readonly tf.Tensor[];
  readonly saved: tf.Tensor[];
  readonly gradient?: (outputGradients: (tf.Tensor | null)[]) => Readonly<Record<string, () => tf.Tensor>>;
}

/** The part of the engine that tfjs's own `grads` uses. */
interface TapeEngine {
  readonly state: { activeTape: TapeNode[] | null; gradientDepth: number; kernelDepth: number };
  startTape(): void;
  endTape(): void;
}

/**
 * Runs `f` in its own tidy and records it. Recordings do not nest.
 * @param sources The only tensors that gradients will be requested for: tensors that only other gradients need are not
 * kept. True allows all, false records nothing.
 */
export function record<T>(f: () => T, sources: boolean | readonly tf.Tensor[] = true): Recording<T> {
  const run = (): T => tf.tidy(f as () => tf.TensorContainer) as T;
  if (sources === false) return recordingOf(run(), []);
  const engine = tf.engine() as unknown as TapeEngine;
  if (engine.state.gradientDepth > 0) throw new Error("tape: a recording inside another");
  engine.startTape();
  let result: T;
  try {
    result = run();
  } catch (error) {
    releaseSaved(engine.state.activeTape ?? []);
    throw error;
  } finally {
    engine.endTape();
  }
  const tape = engine.state.activeTape ?? [];
  engine.state.activeTape = null;
  const targets = tf.tensor_util.getTensorsInContainer(result as tf.TensorContainer);
  return recordingOf(result, connecting(tape, sources === true ? undefined : sources, targets));
}

/** An operation of one's own that a recording takes up as a whole. */
export interface OwnOperation {
  readonly name: string;
  /** The inputs that have a gradient, by name. */
  readonly inputs: Readonly<Record<string, tf.Tensor>>;
  readonly outputs: readonly tf.Tensor[];
  /** Kept tensors that the gradient reads, of which the recording takes ownership. */
  readonly saved: readonly tf.Tensor[];
  /** Computes the gradient of each input, of which the caller asks for those that it needs. Null stands for zeros. */
  readonly gradient: (
    outputGradients: readonly (tf.Tensor | null)[],
  ) => Readonly<Record<string, () => tf.Tensor>>;
}

/** Returns true within the function that a recording runs. */
export function isRecording(): boolean {
  return (tf.engine() as unknown as TapeEngine).state.gradientDepth > 0;
}

/** Adds an operation, whose outputs were computed apart, to the recording that is running. */
export function recordOwnOperation({ name, saved, ...operation }: OwnOperation): void {
  const { activeTape } = (tf.engine() as unknown as TapeEngine).state;
  activeTape?.push({ ...operation, kernelName: name, saved: [...saved] });
}

/** Runs `f` as if no recording and no kernel were running: it may record, and nothing that it does is recorded. */
export function apart<T>(f: () => T): T {
  const { state } = tf.engine() as unknown as TapeEngine;
  const { activeTape, gradientDepth, kernelDepth } = state;
  Object.assign(state, { activeTape: null, gradientDepth: 0, kernelDepth: 0 });
  try {
    return f();
  } finally {
    Object.assign(state, { activeTape, gradientDepth, kernelDepth });
  }
}

/**
 * Computes the value of `f` and its gradients with respect to `sources`, null if it does not depend on a source. The
 * caller owns all of them. `tf.variableGrads` computes the same.
 */
export function gradients(
  f: () => tf.Tensor,
  sources: readonly tf.Tensor[],
): { value: tf.Tensor; gradients: (tf.Tensor | null)[] } {
  const recording = record(f, sources);
  const value = recording.result;
  const one = tf.ones(value.shape);
  try {
    return { value, gradients: recording.gradients([value], [one], sources) };
  } catch (error) {
    value.dispose();
    throw error;
  } finally {
    one.dispose();
  }
}

function recordingOf<T>(result: T, recorded: TapeNode[]): Recording<T> {
  let tape = recorded;
  const walk: (...gradients: Parameters<Recording<T>["gradients"]>) => Walk = (
    outputs,
    outputGradients,
    sources,
  ) => {
    const used = connecting(
      tape,
      sources,
      outputs.filter((_, index) => outputGradients[index]),
    );
    tape = [];
    return backward(used, outputs, outputGradients, sources);
  };
  return {
    result,
    gradients: (...gradients) => walked(walk(...gradients)),
    laterGradients: (...gradients) => walkedLater(walk(...gradients)),
    dispose: () => {
      releaseSaved(tape);
      tape = [];
    },
  };
}

/**
 * Returns the nodes on a path from `sources` (any tensor if undefined) to `targets`. Releases what their gradients do
 * not read.
 */
function connecting(
  tape: readonly TapeNode[],
  sources: readonly tf.Tensor[] | undefined,
  targets: readonly tf.Tensor[],
): TapeNode[] {
  const reached = sources && dependents(tape, sources);
  const wanted = new Set(targets.map((target) => target.id));
  const kept: TapeNode[] = [];
  for (const node of [...tape].reverse()) {
    const inputs = differentiableInputs(node).filter(([, input]) => !reached || reached.has(input.id));
    if (inputs.length > 0 && node.outputs.some((output) => wanted.has(output.id))) {
      for (const [, input] of inputs) wanted.add(input.id);
      releaseUnread(
        node,
        inputs.map(([name]) => name),
      );
      kept.push({ ...node, inputs: Object.fromEntries(inputs) });
    } else {
      releaseSaved([node]);
    }
  }
  return kept.reverse();
}

/** Returns the ids of `sources` and of everything that is computed from them by operations with a gradient. */
function dependents(tape: readonly TapeNode[], sources: readonly tf.Tensor[]): Set<number> {
  const reached = new Set(sources.map((source) => source.id));
  for (const node of tape) {
    if (differentiableInputs(node).some(([, input]) => reached.has(input.id))) {
      for (const output of node.outputs) reached.add(output.id);
    }
  }
  return reached;
}

/** Returns the inputs, by name, into which a gradient flows. */
function differentiableInputs(node: TapeNode): [string, tf.Tensor][] {
  const rule = gradientRule(node.kernelName);
  const inputs = Object.entries(node.inputs);
  return rule ? inputs.filter(([name]) => isDifferentiable(rule, name)) : inputs;
}

/** Keeps only the shapes of those tensors saved by `node` that the gradients of `inputs` do not read further. */
function releaseUnread(node: TapeNode, inputs: readonly string[]): void {
  const rule = gradientRule(node.kernelName);
  if (!rule) return;
  const read = positionsRead(rule, inputs);
  node.saved.forEach((tensor, position) => {
    if (read.has(position)) return;
    node.saved[position] = shapeOnly(tensor);
    tensor.dispose();
  });
}

function releaseSaved(nodes: readonly TapeNode[]): void {
  for (const node of nodes) for (const tensor of node.saved) tensor.dispose();
}

/** The gradients of a node's inputs, each a new tensor. */
type InputGradients = (readonly [tf.Tensor, tf.Tensor])[];

/**
 * Walks the tape backward. Yields the computation of each node's gradients, which is free of effects, and takes its result: the
 * caller decides how it runs.
 */
function* backward(
  tape: TapeNode[],
  outputs: readonly tf.Tensor[],
  outputGradients: readonly (tf.Tensor | undefined)[],
  sources: readonly tf.Tensor[],
): Generator<() => InputGradients, (tf.Tensor | null)[], InputGradients> {
  const gathered = new Map<number, tf.Tensor>();
  const sourceIds = new Set(sources.map((source) => source.id));
  outputs.forEach((output, index) => {
    const gradient = outputGradients[index];
    if (gradient) gather(gathered, output.id, gradient.clone());
  });
  try {
    for (let node = tape.pop(); node; node = tape.pop()) {
      const current = node;
      let results: InputGradients;
      try {
        results = yield () => nodeGradients(current, gathered);
      } finally {
        releaseSaved([current]);
      }
      for (const output of node.outputs) {
        if (sourceIds.has(output.id)) continue;
        gathered.get(output.id)?.dispose();
        gathered.delete(output.id);
      }
      for (const [input, gradient] of results) gather(gathered, input.id, gradient);
    }
  } catch (error) {
    releaseSaved(tape);
    for (const gradient of gathered.values()) gradient.dispose();
    throw error;
  }
  const results = sources.map((source) => gathered.get(source.id)?.clone() ?? null);
  for (const gradient of gathered.values()) gradient.dispose();
  return results;
}

type Walk = ReturnType<typeof backward>;

function walked(walk: Walk): (tf.Tensor | null)[] {
  let step = walk.next();
  while (!step.done) step = settled(walk, step.value);
  return step.value;
}

/** Takes each step as a computation that may wait for values and run again. */
async function walkedLater(walk: Walk): Promise<(tf.Tensor | null)[]> {
  let step = walk.next();
  while (!step.done) {
    try {
      step = walk.next(await repeatable(step.value));
    } catch (error) {
      step = walk.throw(error);
    }
  }
  return step.value;
}

function settled(walk: Walk, compute: () => InputGradients): ReturnType<Walk["next"]> {
  let results: InputGradients;
  try {
    results = compute();
  } catch (error) {
    return walk.throw(error);
  }
  return walk.next(results);
}

/** Returns each input of `node` with its gradient, a new tensor. */
function nodeGradients(node: TapeNode, gathered: ReadonlyMap<number, tf.Tensor>): InputGradients {
  const { gradient, kernelName } = node;
  if (!gradient) throw new Error(`tape: ${kernelName} has no gradient`);
  const incoming = node.outputs.map((output) => gathered.get(output.id) ?? null);
  return tf.tidy(() => {
    const computed = gradient(incoming);
    const seen = new Set<tf.Tensor | null>([...incoming, ...node.saved]);
    return Object.entries(node.inputs).map(([name, input]) => {
      const result = computed[name]?.();
      if (!result) throw new Error(`tape: ${kernelName} has no gradient for its input ${name}`);
      if (!tf.util.arraysEqual(result.shape, input.shape) || result.dtype !== "float32") {
        throw new Error(
          `tape: ${kernelName}: expected a float32 gradient of [${input.shape}], got ${result.dtype} [${result.shape}]`,
        );
      }
      const fresh = seen.has(result) ? result.clone() : result;
      seen.add(fresh);
      return [input, fresh] as const;
    });
  });
}

/** Adds `gradient` to the gradient of a tensor and takes ownership of it. */
function gather(gathered: Map<number, tf.Tensor>, id: number, gradient: tf.Tensor): void {
  const earlier = gathered.get(id);
  if (!earlier) {
    gathered.set(id, gradient);
    return;
  }
  gathered.set(id, tf.add(earlier, gradient));
  earlier.dispose();
  gradient.dispose();
}
