import type { Weights } from "../checkpoint.ts";

/** A copy of the weights that training moves, held on the engine. */
export interface Snapshot {
  /** Copies the weights off the engine. */
  read(): Weights;
  dispose(): void;
}
