import { TopologyError } from "../../errors.ts";
import type { CallDescription, LayerDescription, ModelDescription, TensorName } from "./description.ts";
import { tensorNamesIn } from "./description.ts";

/** A call of a layer in the order of computation. */
export interface OrderedCall {
  readonly layer: LayerDescription;
  /** Index of the call among the layer's calls. An InputLayer has one call without arguments. */
  readonly call: number;
  readonly description: CallDescription;
  /** Number of outputs that are read, at least one. */
  readonly outputsRead: number;
}

/** Bound on the outputs of a layer, so that a file cannot request more memory than it justifies. */
const mostOutputs = 1023;

const noArguments: CallDescription = { args: [], kwargs: {} };

/**
 * Sorts the calls of a model so that every tensor is computed before it is read, in the order of `model.layers` as far
 * as possible. Takes linear time.
 * @param prefix Path of the model with a slash, for errors.
 * @throws {TopologyError} naming a layer that is on a cycle or reads a tensor that no layer computes.
 */
export function callOrder(model: ModelDescription, prefix: string): readonly OrderedCall[] {
  const pending = new Map<string, Pending>();
  for (const layer of model.layers) {
    const calls = layer.className === "InputLayer" ? [noArguments] : layer.calls;
    calls.forEach((description, call) => {
      const reads = [...description.args, ...Object.values(description.kwargs)].flatMap(tensorNamesIn);
      pending.set(callKey(layer.name, call), {
        ordered: { layer, call, description, outputsRead: 1 },
        reads,
        state: "new",
        next: 0,
      });
    });
  }
  const order: OrderedCall[] = [];
  for (const start of pending.values()) visit(start, pending, order, prefix);
  return countOutputs(order, pending, [...tensorNamesIn(model.outputs)]);
}

/** Returns a string that identifies a call in its model. */
export function callKey(layer: string, call: number): string {
  return `${call}:${layer}`;
}

interface Pending {
  readonly ordered: OrderedCall;
  readonly reads: readonly TensorName[];
  state: "new" | "open" | "done";
  /** Position in `reads` of the first tensor that was not visited. */
  next: number;
}

/** Visits calls depth first with an explicit stack, so that a chain of any length needs no recursion. */
function visit(start: Pending, pending: Map<string, Pending>, order: OrderedCall[], prefix: string): void {
  const stack = start.state === "new" ? [start] : [];
  for (let current = stack.at(-1); current; current = stack.at(-1)) {
    current.state = "open";
    const read = current.reads[current.next];
    if (!read) {
      current.state = "done";
      order.push(current.ordered);
      stack.pop();
      continue;
    }
    current.next += 1;
    const source = pending.get(callKey(read.layer, read.call));
    const reader = prefix + current.ordered.layer.name;
    if (!source) {
      throw new TopologyError(
        `${reader}: input: expected an output of a called layer, got one of ${read.layer}, which is never called.`,
        "dangling-reference",
      );
    }
    if (source.state === "open") {
      throw new TopologyError(
        `${reader}: input: expected a graph without cycles, got a cycle through ${read.layer}.`,
        "cycle",
      );
    }
    if (source.state === "new") stack.push(source);
  }
}

/** Completes the number of outputs that are read of each call. */
function countOutputs(
  order: readonly OrderedCall[],
  pending: ReadonlyMap<string, Pending>,
  endpoints: readonly TensorName[],
): OrderedCall[] {
  const counts = new Map<string, number>();
  const count = (read: TensorName): void => {
    if (!Number.isInteger(read.output) || read.output < 0 || read.output > mostOutputs) {
      throw new TopologyError(
        `${read.layer}: outputs: expected an index from 0 to ${mostOutputs}, got ${read.output}.`,
        "dangling-reference",
      );
    }
    const key = callKey(read.layer, read.call);
    counts.set(key, Math.max(counts.get(key) ?? 1, read.output + 1));
  };
  for (const { reads } of pending.values()) reads.forEach(count);
  endpoints.forEach(count);
  return order.map((ordered) => ({
    ...ordered,
    outputsRead: counts.get(callKey(ordered.layer.name, ordered.call)) ?? 1,
  }));
}
