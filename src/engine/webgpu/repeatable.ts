/**
 * @file Values of tensors in the middle of a computation. A GPU hands them out in a later turn only, so there a computation that
 * reads one is ended, waits for the value and runs again from its beginning.
 */
import { MachineError } from "../../errors.ts";
import { tf } from "../tf.ts";
import { webgpuBackendName } from "./name.ts";

/** Values as a backend keeps them. */
export type HeldValues = Float32Array | Int32Array | Uint8Array | Uint8Array[];

/** Thrown to end a computation that needs values which are still on their way. Not an error: nobody but `repeatable` catches it. */
export class PendingRead {
  readonly values: Promise<HeldValues>;
  constructor(values: Promise<HeldValues>) {
    this.values = values;
  }
}

interface Run {
  /** The reads that the computation has made in this run. */
  count: number;
  /** Values that earlier runs ended for, by the number of their read. */
  readonly known: ReadonlyMap<number, HeldValues>;
}

let current: Run | undefined;

/** Returns true if the current backend hands out values in a later turn only. */
export function readsLater(): boolean {
  return tf.getBackend() === webgpuBackendName;
}

/**
 * Runs a computation that may read values of its own tensors, and returns its result. It may run several times, so it must have no
 * effect besides its result, release what it made when it throws, and compute the same each time. Where values are there at once,
 * it runs once, before this function returns.
 */
export async function repeatable<T>(compute: () => T): Promise<T> {
  if (!readsLater()) return compute();
  const known = new Map<number, HeldValues>();
  for (;;) {
    const run: Run = { count: 0, known };
    current = run;
    try {
      return compute();
    } catch (error) {
      if (!(error instanceof PendingRead)) throw error;
      known.set(run.count, await error.values);
    } finally {
      if (current === run) current = undefined;
    }
  }
}

/**
 * Returns values that a computation reads: `held` where they are at hand, else those that an earlier run has waited for.
 * @param fetch Starts to bring the values.
 * @throws {PendingRead} to end the computation until they are there.
 */
export function readWithin(held: HeldValues | null, fetch: () => Promise<HeldValues>): HeldValues {
  if (!current) {
    if (held) return held;
    throw new MachineError(
      "webgpu engine: values: expected them to be fetched before they are read, got them on the GPU still. Await fetch() of the trainer first.",
      "gpu-read",
    );
  }
  current.count++;
  const values = held ?? current.known.get(current.count);
  if (values) return values;
  throw new PendingRead(fetch());
}
