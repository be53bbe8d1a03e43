/** @file Random numbers of one call, all from one seed (`keras/src/random`, which uses another generator). */
import { tf } from "../../engine/tf.ts";
import type { RandomGenerator } from "../../random.ts";
import { randomGenerator, shuffled } from "../../random.ts";

/** The source of a layer's random numbers. Each call returns others. */
export interface Draws {
  /** Draws a number between two bounds. The upper one is excluded unless they are equal. */
  uniform(low: number, high: number): number;
  uniforms(count: number, low: number, high: number): readonly number[];
  /** Draws a whole number from `low` up to, but not including, `high`. */
  integer(low: number, high: number): number;
  /** Draws a permutation of `0` to `count - 1`. */
  order(count: number): readonly number[];
  /** Draws from a beta distribution. `alpha` and `beta` may be arbitrarily small. */
  beta(alpha: number, beta: number): number;
  /** Draws `count` shares of 1 from a symmetric Dirichlet distribution. */
  dirichlet(count: number, alpha: number): readonly number[];
  /** Draws normal numbers of mean 0 and deviation 1. The caller owns the tensor. */
  normal(shape: readonly number[]): tf.Tensor;
}

export function drawsFrom(seed: number): Draws {
  const generator = randomGenerator(seed);
  const uniform = (low: number, high: number): number => low + (high - low) * generator.nextFloat();
  const integer = (low: number, high: number): number => Math.floor(uniform(low, high));
  return {
    uniform,
    uniforms: (count, low, high) => Array.from({ length: count }, () => uniform(low, high)),
    integer,
    order: (count) => [...shuffled(count, (bound) => integer(0, bound))],
    beta: (alpha, beta) => 1 / (1 + Math.exp(logGamma(generator, beta) - logGamma(generator, alpha))),
    dirichlet: (count, alpha) => {
      const logs = Array.from({ length: count }, () => logGamma(generator, alpha));
      const largest = Math.max(...logs);
      const parts = logs.map((log) => Math.exp(log - largest));
      const total = parts.reduce((sum, part) => sum + part, 0);
      return parts.map((part) => part / total);
    },
    normal: (shape) => tf.randomNormal([...shape], 0, 1, "float32", generator.nextInteger()),
  };
}

/**
 * Draws the logarithm of a gamma distributed number (Marsaglia and Tsang, 2000). It does not underflow for a small
 * `shape`.
 */
function logGamma(generator: RandomGenerator, shape: number): number {
  if (shape < 1) return logGamma(generator, shape + 1) + Math.log(positive(generator)) / shape;
  const d = shape - 1 / 3;
  for (;;) {
    const x = normal(generator);
    const v = (1 + x / Math.sqrt(9 * d)) ** 3;
    if (v > 0 && Math.log(positive(generator)) < 0.5 * x * x + d - d * v + d * Math.log(v)) {
      return Math.log(d) + Math.log(v);
    }
  }
}

/** Draws a normal number by the method of Box and Muller. */
function normal(generator: RandomGenerator): number {
  const radius = Math.sqrt(-2 * Math.log(positive(generator)));
  return radius * Math.cos(2 * Math.PI * generator.nextFloat());
}

/** Draws a number above 0, up to and including 1. */
function positive(generator: RandomGenerator): number {
  return 1 - generator.nextFloat();
}
