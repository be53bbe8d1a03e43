/** @file A computation of tensors as one graph, recorded while it runs. */
import type { NativeBackend } from "../native-engine.ts";
import { nativeBackend } from "../native-engine.ts";
import { tf } from "../tf.ts";
import { graphForm } from "./graph-form.ts";
import type { AttributeMessage, GraphNode } from "./graph-messages.ts";
import { dataType } from "./graph-messages.ts";
import type { NativeGraph } from "./native-graph.ts";
import { canLoadGraphs, loadGraph } from "./native-graph.ts";
import type { Recorder } from "./recorded-operations.ts";
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
    return placeholder(name, recorder.typeOf(name), { dim: input.shape.map((size) => ({ size })) });
  });
  const results = recorder.within(compute);
  const names = results.map((result) => recorder.nameOf(result));
  return { results, load: () => loaded(backend, recorder, fed, names) };
}

function loaded(
  backend: NativeBackend,
  { constants, nodes, typeOf }: Recorder,
  inputs: readonly GraphNode[],
  results: readonly string[],
): NativeGraph {
  const isNumber = ({ attr }: GraphNode): boolean => attr["value"]?.tensor?.dtype === dataType.float;
  const numbers = constants.filter(isNumber);
  const fed = [
    ...inputs,
    // The optimizer computes with numbers that it knows, `x / 3` as `x * (1 / 3)`: fed, they are what the operations read.
    ...numbers.map(({ name, attr }) => placeholder(name, dataType.float, attr["value"]?.tensor?.tensorShape)),
  ];
  const others = constants.filter((constant) => !isNumber(constant));
  const graph = loadGraph(
    backend,
    [...fed, ...others, ...graphForm(nodes, typeOf)],
    fed.map(({ name }) => name),
    results,
  );
  const values = numbers.map((constant) => tf.keep(numbersOf(constant)));
  return {
    run: (given) => graph.run([...given, ...values]),
    dispose: () => {
      graph.dispose();
      tf.dispose(values);
    },
  };
}

function placeholder(name: string, type: number, shape: AttributeMessage["shape"] = { dim: [] }): GraphNode {
  return { name, op: "Placeholder", input: [], attr: { dtype: { type }, shape: { shape } } };
}

/** Returns a tensor of a constant's numbers. */
function numbersOf({ attr }: GraphNode): tf.Tensor {
  const { tensorShape, tensorContent } = attr["value"]?.tensor ?? {};
  const values = new Float32Array(tensorContent?.slice().buffer ?? new ArrayBuffer(0));
  return tf.tensor(values, tensorShape?.dim.map(({ size }) => size) ?? [0]);
}
