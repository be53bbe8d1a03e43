/** @file Random tensors of layers, which a graph of a whole step is given anew each time it runs. */
import type { tf } from "../engine/tf.ts";
import type { RandomStream } from "../random.ts";

/** Draws a tensor that depends on nothing but the seed. */
export type Draw = (seed: number) => tf.Tensor;

/** A stream that draws tensors itself, so that it knows of them. */
export interface DrawingStream extends RandomStream {
  /** Takes the next seed and returns the function that draws from it, any number of times. */
  reserve(): (draw: Draw) => tf.Tensor;
}

/** Draws a tensor from the stream's next seed. A layer whose draws all go through here or `reserved` can be part of a graph. */
export function drawn(random: RandomStream | DrawingStream, draw: Draw): tf.Tensor {
  return reserved(random)(draw);
}

/** Takes the stream's next seed, and returns the function that draws from it, later and any number of times. */
export function reserved(random: RandomStream | DrawingStream): (draw: Draw) => tf.Tensor {
  if ("reserve" in random) return random.reserve();
  const seed = random.nextSeed();
  return (draw) => draw(seed);
}
