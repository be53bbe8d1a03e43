/** @file Random tensors of layers, which a graph of a whole step is given anew each time it runs. */
import type { tf } from "../engine/tf.ts";
import type { RandomStream } from "../random.ts";

/** Draws a tensor that depends on nothing but the seed. */
export type Draw = (seed: number) => tf.Tensor;

/** A stream that draws tensors itself, so that it knows of them. */
export interface DrawingStream extends RandomStream {
  draw(draw: Draw): tf.Tensor;
}

/** Draws a tensor from the stream's next seed. A layer whose draws all go through here can be part of a graph. */
export function drawn(random: RandomStream | DrawingStream, draw: Draw): tf.Tensor {
  return "draw" in random ? random.draw(draw) : draw(random.nextSeed());
}
