/** The random image layers that a model begins with, and how they draw views instead of being silent. */
import { tf } from "../../engine/tf.ts";
import { drawingNodes } from "../../freeze/view-layers.ts";
import type { Program } from "../../model/program.ts";
import { programBetween, readsOf } from "../../model/program.ts";
import type { ContextOf } from "../../model/run-program.ts";
import { inferenceContext, runProgram } from "../../model/run-program.ts";
import type { LayerWeights } from "../../model/uploads.ts";
import type { RandomStream } from "../../random.ts";
import type { LayerGraph, TensorRef } from "../../topology/layer-graph.ts";
import { nodeAt, refKey } from "../../topology/layer-graph.ts";
import type { DrawnView } from "./view.ts";
import { viewStream } from "./view.ts";

/** A static part in two: what leads to the last layer that draws, and what is left. */
export interface DrawingProgram {
  /** From the model's inputs to the tensors that `rest` begins with. */
  readonly front: Program;
  readonly rest: Program;
  /** Calls that draw, by node index. */
  readonly drawing: ReadonlySet<number>;
}

/** Returns the program in two, null where no layer of it draws views. */
export function drawingProgram({ graph, nodes, inputs, outputs }: Program): DrawingProgram | null {
  const drawing = drawingNodes(graph, nodes);
  if (drawing.size === 0) return null;
  const frontNodes = withAncestors(graph, drawing);
  const isGiven = (ref: TensorRef): boolean =>
    frontNodes.has(ref.node) || inputs.some((input) => refKey(input) === refKey(ref));
  const rest = nodes.filter((node) => !frontNodes.has(node.index));
  const read = [...rest.flatMap(readsOf), ...outputs].filter(isGiven);
  const crossing = [...new Map(read.map((ref) => [refKey(ref), ref])).values()];
  return {
    front: programBetween(graph, inputs, crossing),
    rest: programBetween(graph, crossing, outputs),
    drawing,
  };
}

/**
 * Returns the program's outputs for padded inputs whose first rows are `views`. Each row goes through the front by itself, so that
 * what it draws depends on nothing else; rows without a view are zeros behind it.
 */
export function runDrawing(
  { front, rest, drawing }: DrawingProgram,
  inputs: readonly tf.Tensor[],
  weights: LayerWeights,
  views: readonly DrawnView[],
): tf.Tensor[] {
  const rows = inputs[0]?.shape[0] ?? 0;
  const parts = views.map((view, row) => {
    const own = inputs.map((input) => tf.slice(input, row, 1));
    const outputs = runProgram(front, own, weights, contextOf(drawing, view));
    tf.dispose(own);
    return outputs;
  });
  const crossing = front.outputs.map((_, output) => {
    const given = parts.flatMap((outputs) => outputs.slice(output, output + 1));
    return tf.tidy(() => {
      const whole = tf.concat(given, 0);
      const missing = rows - given.length;
      return missing === 0
        ? whole
        : tf.pad(
            whole,
            whole.shape.map((_, axis) => [0, axis === 0 ? missing : 0]),
          );
    });
  });
  tf.dispose(parts);
  const outputs = runProgram(rest, crossing, weights);
  tf.dispose(crossing);
  return outputs;
}

/** View 0 is the sample itself: nothing draws. */
function contextOf(drawing: ReadonlySet<number>, view: DrawnView): ContextOf {
  if (view.view === 0) return inferenceContext;
  const random: RandomStream = viewStream(view, "model");
  return (node, layer) =>
    drawing.has(node.index)
      ? { ...inferenceContext(node, layer), training: true, random }
      : inferenceContext(node, layer);
}

function withAncestors(graph: LayerGraph, nodes: ReadonlySet<number>): ReadonlySet<number> {
  const found = new Set(nodes);
  const pending = [...nodes];
  for (let index = pending.pop(); index !== undefined; index = pending.pop()) {
    for (const ref of readsOf(nodeAt(graph, index))) {
      if (found.has(ref.node)) continue;
      found.add(ref.node);
      pending.push(ref.node);
    }
  }
  return found;
}
