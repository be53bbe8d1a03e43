import type { Weights } from "../checkpoint.ts";

/** A copy of the weights that training moves, held on the engine. */
export interface Snapshot {
  /** Copies the weights off the engine. */
  read(): Weights;
  /** Returns the weights without copying any: each is read off the engine when its values are asked for, until `dispose`. */
  held(): Weights;
  dispose(): void;
}
