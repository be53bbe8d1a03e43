/** @file The walk over recorded operations, last ones first, that computes gradients. */
import type { TapeNode } from "./tape-node.ts";
import { releaseSaved } from "./tape-node.ts";
import { tf } from "./tf.ts";
import { repeatable } from "./webgpu/repeatable.ts";

/** The gradients of a node's inputs, each a new tensor. */
type InputGradients = (readonly [tf.Tensor, tf.Tensor])[];

/**
 * Walks the tape backward. Yields the computation of each node's gradients, which is free of effects, and takes its result: the
 * caller decides how it runs.
 */
export function* backward(
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

export type Walk = ReturnType<typeof backward>;

export function walked(walk: Walk): (tf.Tensor | null)[] {
  let step = walk.next();
  while (!step.done) step = settled(walk, step.value);
  return step.value;
}

/** Takes each step as a computation that may wait for values and run again. */
export async function walkedLater(walk: Walk): Promise<(tf.Tensor | null)[]> {
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

/** Adds `gradient` to what is gathered under a key so far, and takes ownership of it. */
export function gather<Key>(gathered: Map<Key, tf.Tensor>, key: Key, gradient: tf.Tensor): void {
  const earlier = gathered.get(key);
  if (!earlier) {
    gathered.set(key, gradient);
    return;
  }
  gathered.set(key, tf.add(earlier, gradient));
  earlier.dispose();
  gradient.dispose();
}
