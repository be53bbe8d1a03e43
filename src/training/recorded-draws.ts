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

/** A seed that was taken, with what was drawn from it at places among all draws. */
interface RecordedSeed {
  readonly call: DrawingCall;
  readonly places: ReadonlyMap<number, Draw>;
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
  const seeds: RecordedSeed[] = [];
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
        reserve: () => {
          const seed = context.random.nextSeed();
          const places = new Map<number, Draw>();
          seeds.push({ call, places });
          return (draw) => {
            const tensor = tf.keep(take(() => draw(seed)));
            places.set(drawn.length, draw);
            drawn.push(tensor);
            return tensor.clone();
          };
        },
      };
      return { ...context, random };
    },
    again: (ofStep) => {
      const streams = new Map<DrawingCall, RandomStream>();
      const again = new Map<number, tf.Tensor>();
      for (const { call, places } of seeds) {
        const random = streams.get(call) ?? ofStep(call.node, call.layer).random;
        streams.set(call, random);
        const seed = random.nextSeed();
        for (const [place, draw] of places) again.set(place, draw(seed));
      }
      return drawn.flatMap((_, place) => again.get(place) ?? []);
    },
  };
}
