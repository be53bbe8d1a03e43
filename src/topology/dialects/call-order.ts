import { TopologyError } from "../../errors.ts";
import type { CallDescription, LayerDescription, ModelDescription, TensorName } from "./description.ts";
import { tensorNamesIn } from "./description.ts";

export interface OrderedCall {
  readonly layer: LayerDescription;
  /** Which of the layer's calls; an InputLayer has one without arguments. */
  readonly call: number;
  readonly description: CallDescription;
  /** How many of its outputs are read, at least one. */
  readonly outputsRead: number;
}

/** More than any layer gives: a file cannot make us allocate what it does not hold. */
const mostOutputs = 1023;

const noArguments: CallDescription = { args: [], kwargs: {} };

/**
 * Every call of a model in an order in which tensors come before their use: that of `model.layers` as far as it allows. Linear
 * in calls and references. @throws {TopologyError} naming a layer on a cycle, or one that reads what no layer gives.
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

export function callKey(layer: string, call: number): string {
  return `${call}:${layer}`;
}

interface Pending {
  readonly ordered: OrderedCall;
  readonly reads: readonly TensorName[];
  state: "new" | "open" | "done";
  /** Position in `reads` of the first that is not visited. */
  next: number;
}

/** Depth first with a stack of our own: a chain of any length is no recursion. */
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
        `${reader}: input: expected a tensor of a call of ${read.layer}, which is never called.`,
        "dangling-reference",
      );
    }
    if (source.state === "open") {
      throw new TopologyError(
        `${reader}: input: expected a graph without cycles, got one through ${read.layer}.`,
        "cycle",
      );
    }
    if (source.state === "new") stack.push(source);
  }
}

function countOutputs(
  order: readonly OrderedCall[],
  pending: ReadonlyMap<string, Pending>,
  endpoints: readonly TensorName[],
): OrderedCall[] {
  const counts = new Map<string, number>();
  const count = (read: TensorName): void => {
    if (!Number.isInteger(read.output) || read.output < 0 || read.output > mostOutputs) {
      throw new TopologyError(
        `${read.layer}: outputs: expected a number from 0 to ${mostOutputs}, got ${read.output}.`,
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
