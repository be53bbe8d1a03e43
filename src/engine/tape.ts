/**
 * @file tfjs's tape as a value. tfjs records what an operation needs for its gradient and keeps all of it, with every
 * gradient, until the whole backward pass is done. Here each tensor is released at its last use, and a recording may be
 * as small as one layer.
 */
import type { TapeNode } from "./tape-node.ts";
import { connecting, releaseSaved } from "./tape-node.ts";
import type { Walk } from "./tape-walk.ts";
import { backward, walked, walkedLater } from "./tape-walk.ts";
import { tf } from "./tf.ts";

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
