/** @file A computation of tensors as one graph, recorded while it runs. */
import type { NativeBackend } from "../native-engine.ts";
import { nativeBackend } from "../native-engine.ts";
import type { tf } from "../tf.ts";
import { graphForm } from "./graph-form.ts";
import type { GraphNode } from "./graph-messages.ts";
import type { NativeGraph } from "./native-graph.ts";
import { canLoadGraphs, loadGraph } from "./native-graph.ts";
import { operationRecorder } from "./recorded-operations.ts";

/** Returns the native backend where it runs graphs; undefined on a GPU, on another engine, and under `KERAS_FINETUNE_GRAPH=0`. */
export function graphBackend(): NativeBackend | undefined {
  const backend = nativeBackend();
  const isAllowed = backend !== undefined && process.env["KERAS_FINETUNE_GRAPH"] !== "0";
  return isAllowed && !backend.isUsingGpuDevice && canLoadGraphs(backend) ? backend : undefined;
}

/** A computation that has run, with the graph of it. */
export interface RecordedComputation {
  /** The results of the operations one by one, which the caller owns. */
  readonly results: readonly tf.Tensor[];
  /** Loads the graph, which takes tensors of the inputs' shapes and gives the results in this order. */
  load(): NativeGraph;
}

/**
 * Runs a computation and records it.
 * @param inputs All that it reads but for what it makes itself: numbers or booleans.
 * @throws {Error} if it reads anything else, or looks at values.
 */
export function recordComputation(
  backend: NativeBackend,
  inputs: readonly tf.Tensor[],
  compute: () => readonly tf.Tensor[],
): RecordedComputation {
  const recorder = operationRecorder(backend);
  // Their values are with the binding from here on, where a computation that looks at them is noticed.
  backend.getInputTensorIds(inputs);
  const fed = inputs.map((input, index): GraphNode => {
    const name = `input${index}`;
    recorder.give(input, name);
    const shape = { shape: { dim: input.shape.map((size) => ({ size })) } };
    return { name, op: "Placeholder", input: [], attr: { dtype: { type: recorder.typeOf(name) }, shape } };
  });
  const results = recorder.within(compute);
  const names = results.map((result) => recorder.nameOf(result));
  const nodes = [...fed, ...recorder.constants, ...graphForm(recorder.nodes)];
  return {
    results,
    load: () =>
      loadGraph(
        backend,
        nodes,
        fed.map(({ name }) => name),
        names,
      ),
  };
}
