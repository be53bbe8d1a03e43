/** @file The operations that a recording holds, and which of them the gradients of some tensors need. */
import { isDifferentiable, positionsRead, shapeOnly } from "./gradients/rule.ts";
import { gradientRule } from "./gradients/rules.ts";
import type { tf } from "./tf.ts";

/** One recorded operation. The tensors in `saved` are handles owned by the tape, in the array that `gradient` reads. */
export interface TapeNode {
  readonly kernelName: string;
  readonly inputs: Readonly<Record<string, tf.Tensor>>;
  readonly outputs: readonly tf.Tensor[];
  readonly saved: tf.Tensor[];
  readonly gradient?: (outputGradients: (tf.Tensor | null)[]) => Readonly<Record<string, () => tf.Tensor>>;
}

/**
 * Returns the nodes on a path from `sources` (any tensor if undefined) to `targets`. Releases what their gradients do
 * not read.
 */
export function connecting(
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

export function releaseSaved(nodes: readonly TapeNode[]): void {
  for (const node of nodes) for (const tensor of node.saved) tensor.dispose();
}
