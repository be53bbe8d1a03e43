import type { Weight } from "../checkpoint.ts";

/** Returns what is kept of a weight that was read, by the path of its layer. */
export type KeepWeight = (path: string, weight: Weight) => Weight;

/** Treatment of weights as they are read: false leaves their values empty, true keeps all. */
export type ReadValues = boolean | KeepWeight;

/** The path by which the variables of an optimizer are given to a function that keeps weights. */
export const optimizerPath = "optimizer variables";

/** Returns what is kept of a weight that was read. */
export function keptAs(values: true | KeepWeight, path: string, weight: Weight): Weight {
  return values === true ? weight : values(path, weight);
}
