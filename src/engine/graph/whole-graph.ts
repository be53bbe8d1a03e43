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
import { inTurn } from "./turns.ts";

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
  /** Loads the graph, which takes tensors of the shapes of the inputs, then of those taken, and gives the results in this order. */
  load(): NativeGraph;
}

/** Requests of a computation while it is recorded. */
export interface Recording {
  /** Makes a tensor that the graph is given anew each time it runs, where one that the computation makes itself is the same in every run. */
  take(make: () => tf.Tensor): tf.Tensor;
  /**
   * Keeps the memory of a graph to that of the calls: the operations from here on run in their order, and those before that read weights
   * alone wait for their turn. A graph otherwise runs each as soon as it can: of a backward pass, some would run long before they are
   * read, and others late, while what they read piles up.
   */
  keepOrder(): void;
  /**
   * Begins the next part of the computation, such as the call of a layer. The loops of one part run beside each other, which the order of
   * the operations would not allow.
   */
  beginPart(): void;
}

/**
 * Runs a computation and records it.
 * @param inputs All that it reads but for what it makes itself or takes: numbers or booleans.
 * @throws {Error} if it reads anything else, looks at values, or draws numbers.
 */
export function recordComputation(
  backend: NativeBackend,
  inputs: readonly tf.Tensor[],
  compute: (recording: Recording) => readonly tf.Tensor[],
): RecordedComputation {
  const recorder = operationRecorder(backend);
  // Their values are with the binding from here on, where a computation that looks at them is noticed.
  backend.getInputTensorIds(inputs);
  const fed: GraphNode[] = [];
  const give = (input: tf.Tensor): void => {
    const name = `input${fed.length}`;
    recorder.give(input, name);
    fed.push(placeholder(name, recorder.typeOf(name), { dim: input.shape.map((size) => ({ size })) }));
  };
  inputs.forEach(give);
  let waiting = Number.POSITIVE_INFINITY;
  const starts: number[] = [];
  const recording: Recording = {
    take: (make) =>
      recorder.apart(() => {
        const input = make();
        give(input);
        return input;
      }),
    keepOrder: () => {
      waiting = recorder.nodes.length;
    },
    beginPart: () => {
      starts.push(recorder.nodes.length);
    },
  };
  const results = recorder.within(() => compute(recording));
  const names = results.map((result) => recorder.nameOf(result));
  return {
    results,
    load: () => {
      const nodes =
        waiting === Number.POSITIVE_INFINITY ? recorder.nodes : inTurn(recorder.nodes, waiting, starts);
      return loaded(backend, { ...recorder, nodes }, fed, names);
    },
  };
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
