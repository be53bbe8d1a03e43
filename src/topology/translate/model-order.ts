import { callKey } from "../dialects/call-order.ts";
import type { LayerDescription, ModelDescription, TensorName } from "../dialects/description.ts";
import { tensorNamesIn } from "../dialects/description.ts";

interface Call {
  readonly key: string;
  readonly layer: string;
  readonly reads: readonly TensorName[];
}

/**
 * Lists the names of a model's layers in the order of Keras's `model.layers`, which files are loaded by: sorted by
 * decreasing depth, layers of equal depth in the order in which a depth-first walk from the outputs meets them
 * (`map_graph` of `keras/src/ops/function.py`; Keras 2's `_map_graph_network` does the same). A layer that no output
 * needs is left out unless it is an input.
 */
export function modelOrder(model: ModelDescription): readonly string[] {
  const calls = callsOf(model);
  const indices = new Map<string, number>();
  const postorder = walk(model, calls, indices);
  const callDepths = new Map<string, number>();
  const layerDepths = new Map<string, number>();
  for (const call of postorder.toReversed()) {
    const depth = Math.max(callDepths.get(call.key) ?? 0, layerDepths.get(call.layer) ?? 0);
    layerDepths.set(call.layer, depth);
    callDepths.set(call.key, depth);
    for (const read of call.reads) {
      const key = callKey(read.layer, read.call);
      callDepths.set(key, Math.max(depth + 1, callDepths.get(key) ?? 0));
    }
  }
  for (const { layer } of tensorNamesIn(model.inputs)) {
    if (layerDepths.has(layer)) continue;
    layerDepths.set(layer, 0);
    indices.set(layer, -1);
  }
  return [...layerDepths]
    .map(([name, depth]) => ({ name, depth, index: indices.get(name) ?? 0 }))
    .sort((a, b) => b.depth - a.depth || a.index - b.index)
    .map(({ name }) => name);
}

function callsOf(model: ModelDescription): ReadonlyMap<string, Call> {
  const calls = new Map<string, Call>();
  for (const layer of model.layers) {
    readsOf(layer).forEach((reads, index) => {
      const key = callKey(layer.name, index);
      calls.set(key, { key, layer: layer.name, reads });
    });
  }
  return calls;
}

/** Lists the tensors that each call reads. An InputLayer has one call without any. */
function readsOf(layer: LayerDescription): readonly (readonly TensorName[])[] {
  if (layer.className === "InputLayer") return [[]];
  return layer.calls.map((call) => [
    ...call.args.flatMap(tensorNamesIn),
    ...tensorNamesIn({ kind: "record", entries: call.kwargs }),
  ]);
}

/** Lists the calls that the outputs need in postorder, and numbers the layers in `indices` as it meets them. */
function walk(
  model: ModelDescription,
  calls: ReadonlyMap<string, Call>,
  indices: Map<string, number>,
): Call[] {
  const order: Call[] = [];
  const met = new Set<string>();
  const stack: { readonly call: Call; next: number }[] = [];
  const enter = (name: TensorName): void => {
    const call = calls.get(callKey(name.layer, name.call));
    if (!call || met.has(call.key)) return;
    met.add(call.key);
    if (!indices.has(call.layer)) indices.set(call.layer, indices.size);
    stack.push({ call, next: 0 });
  };
  for (const output of tensorNamesIn(model.outputs)) {
    enter(output);
    for (let current = stack.at(-1); current; current = stack.at(-1)) {
      const read = current.call.reads[current.next];
      current.next += 1;
      if (read) enter(read);
      else {
        order.push(current.call);
        stack.pop();
      }
    }
  }
  return order;
}
