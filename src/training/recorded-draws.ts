/** @file The random tensors of a step that is recorded as a graph: they are drawn again for each step, and fed to the graph. */
import { tf } from "../engine/tf.ts";
import type { Draw, DrawingStream } from "../layers/drawn.ts";
import type { ContextOf } from "../model/run-program.ts";
import type { RandomStream } from "../random.ts";
import type { GraphLayer, GraphNode } from "../topology/layer-graph.ts";

/** One call of a layer, which has a stream of random numbers of its own. */
interface DrawingCall {
  readonly node: GraphNode;
  readonly layer: GraphLayer;
}

/** The draws of a step, in the order in which its graph takes them. */
export interface RecordedDraws {
  /** Contexts whose streams give no seed away but to draws that are recorded: what else depends on a seed is no part of a graph. */
  readonly contextOf: ContextOf;
  /** The tensors that were drawn while the step was recorded. */
  readonly drawn: readonly tf.Tensor[];
  /** Draws the tensors of the step that the contexts belong to, those that calls would draw. The caller's. */
  again(contextOf: ContextOf): tf.Tensor[];
}

/**
 * Records the draws of a step.
 * @param take Makes a tensor that is an input of the graph.
 */
export function recordedDraws(
  contextOf: ContextOf,
  take: (make: () => tf.Tensor) => tf.Tensor,
): RecordedDraws {
  const draws: { readonly call: DrawingCall; readonly draw: Draw }[] = [];
  const drawn: tf.Tensor[] = [];
  return {
    drawn,
    contextOf: (node, layer) => {
      const context = contextOf(node, layer);
      const call = { node, layer };
      const random: DrawingStream = {
        nextSeed: () => {
          throw new Error(`graph: ${layer.path} draws numbers`);
        },
        draw: (draw) => {
          const tensor = tf.keep(take(() => draw(context.random.nextSeed())));
          draws.push({ call, draw });
          drawn.push(tensor);
          return tensor.clone();
        },
      };
      return { ...context, random };
    },
    again: (ofStep) => {
      const streams = new Map<DrawingCall, RandomStream>();
      return draws.map(({ call, draw }) => {
        const random = streams.get(call) ?? ofStep(call.node, call.layer).random;
        streams.set(call, random);
        return draw(random.nextSeed());
      });
    },
  };
}
