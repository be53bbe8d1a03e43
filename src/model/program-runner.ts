/**
 * @file A program that runs for many batches. On the native engine it becomes one TensorFlow graph for each shape of batch: its
 * operations are then fused and run beside each other, where otherwise each is a call of its own.
 */

import type { NativeGraph } from "../engine/graph/native-graph.ts";
import type { RecordedComputation } from "../engine/graph/whole-graph.ts";
import { recordComputation } from "../engine/graph/whole-graph.ts";
import type { NativeBackend } from "../engine/native-engine.ts";
import { tf } from "../engine/tf.ts";
import { MachineError } from "../errors.ts";
import type { WeightNames } from "./graph-inputs.ts";
import {
  backendForGraph,
  graphInputs,
  graphRun,
  hasFewCalls,
  shapesKey,
  weightNames,
} from "./graph-inputs.ts";
import type { Program } from "./program.ts";
import type { ContextOf, ProgramResult } from "./run-program.ts";
import { inferenceContext, runWithMasks } from "./run-program.ts";
import type { LayerWeights } from "./uploads.ts";

export interface ProgramRunner {
  /** The number of shapes of batches that run as a graph. */
  readonly graphs: number;
  /** Does what `runWithMasks` does, with weights of the same shapes each time. */
  run(feeds: readonly tf.Tensor[], weights: LayerWeights): ProgramResult;
  /** Releases the graphs. Feeds, weights and results are the caller's. */
  dispose(): void;
}

/**
 * The batch of a shape that is computed both ways. Making a graph and its first run cost about what it saves on three to six batches, so
 * that a job of fewer never makes one.
 */
export const batchOfGraph = 4;
/** Planned batches of a number of samples from which on they are a graph from the first one on: of a network, and of a few layers. */
const leastPlanned = { network: 12, fewLayers: 512 } as const;
/** The shapes of batches that have a graph, and those that are counted: the first ones, so that none is made twice. */
const [mostGraphs, mostShapes] = [4, 64];

/**
 * The tolerance where numbers are only told: a product with its bias and activation in one kernel is added up in another order.
 */
export const graphTolerance = 1e-6;
/** The same for batches that were planned: far above rounding, so that it does not depend on the weights whether there is a graph. */
const plannedTolerance = 1e-4;

interface BatchShape {
  batches: number;
  made?: MadeGraph;
}

interface MadeGraph {
  readonly graph: NativeGraph;
  readonly weights: WeightNames;
  /** Tells for each output whether it has a mask. */
  readonly masks: readonly boolean[];
}

/**
 * Returns a runner of a program in inference. The graph takes over from the fourth batch of a shape on, if on that batch it gives the
 * same numbers as the operations one by one, so that a number does not depend on where in a job it is computed.
 * @param tolerance Difference that is allowed all the same, as part of an output's largest value; 0 where numbers are kept or decide.
 * @param planned The number of batches that will be run, by their number of samples. Where they are many, all of them run as the graph,
 * which may differ from the operations one by one by rounding.
 */
export function programRunner(
  program: Program,
  contextOf: ContextOf = inferenceContext,
  tolerance = 0,
  planned: ReadonlyMap<number, number> = new Map(),
): ProgramRunner {
  const shapes = new Map<string, BatchShape>();
  const least = leastPlanned[hasFewCalls(program) ? "fewLayers" : "network"];
  let isRefused = false;
  const graphs = (): MadeGraph[] => [...shapes.values()].flatMap(({ made }) => made ?? []);

  const shapeOf = (feeds: readonly tf.Tensor[]): BatchShape | undefined => {
    const key = shapesKey(feeds);
    const shape = shapes.get(key) ?? (shapes.size < mostShapes ? { batches: 0 } : undefined);
    if (shape) shapes.set(key, shape);
    return shape;
  };
  /** Computes the batch one by one and makes the graph of it, if there is one that gives the same. */
  const both = (
    backend: NativeBackend,
    shape: BatchShape,
    feeds: readonly tf.Tensor[],
    uploaded: LayerWeights,
    compute: () => ProgramResult,
    isPlanned: boolean,
  ): ProgramResult => {
    const weights = weightNames(uploaded);
    const inputs = graphInputs(feeds, uploaded, weights);
    let result: ProgramResult | undefined;
    let recorded: RecordedComputation;
    try {
      recorded = recordComputation(backend, inputs, () => {
        result = compute();
        return tensorsOf(result);
      });
    } catch (error) {
      if (result) tf.dispose(tensorsOf(result));
      if (error instanceof MachineError) throw error;
      isRefused = true;
      return compute();
    }
    if (!result) throw new Error("program: nothing was computed");
    const same = sameGraph(recorded, inputs, isPlanned ? plannedTolerance : tolerance);
    if (!same) {
      isRefused = true;
      return result;
    }
    const masks = result.masks.map((mask) => mask !== undefined);
    shape.made = { graph: same.graph, weights, masks };
    const [returned, other] = isPlanned ? [same.results, recorded.results] : [recorded.results, same.results];
    tf.dispose([...other]);
    return resultOf(returned, masks);
  };
  return {
    get graphs() {
      return graphs().length;
    },
    run: (feeds, weights) => {
      const compute = (): ProgramResult => runWithMasks(program, feeds, weights, contextOf);
      const backend = isRefused ? undefined : backendForGraph(feeds);
      if (!backend) return compute();
      const shape = shapeOf(feeds);
      if (!shape) return compute();
      const { made } = shape;
      if (made) {
        const found = graphRun(made.graph, graphInputs(feeds, weights, made.weights));
        return found ? resultOf(found, made.masks) : compute();
      }
      shape.batches++;
      const isPlanned = (planned.get(feeds[0]?.shape[0] ?? 0) ?? 0) >= least;
      return shape.batches === (isPlanned ? 1 : batchOfGraph) && graphs().length < mostGraphs
        ? both(backend, shape, feeds, weights, compute, isPlanned)
        : compute();
    },
    dispose: () => {
      for (const { graph } of graphs()) graph.dispose();
      shapes.clear();
    },
  };
}

function tensorsOf({ outputs, masks }: ProgramResult): tf.Tensor[] {
  return [...outputs, ...masks.flatMap((mask) => mask ?? [])];
}

function resultOf(tensors: readonly tf.Tensor[], hasMask: readonly boolean[]): ProgramResult {
  const outputs = tensors.slice(0, hasMask.length);
  const present = tensors.slice(hasMask.length);
  return { outputs, masks: hasMask.map((has) => (has ? present.shift() : undefined)) };
}

/** Returns the graph with its results if it gives what was computed one by one, to the tolerance. */
function sameGraph(
  { results, load }: RecordedComputation,
  inputs: readonly tf.Tensor[],
  tolerance: number,
): { readonly graph: NativeGraph; readonly results: readonly tf.Tensor[] } | undefined {
  let graph: NativeGraph | undefined;
  let found: readonly tf.Tensor[] = [];
  try {
    graph = load();
    found = graph.run(inputs);
    const isSame = found.every((tensor, index) => {
      const expected = results[index];
      return expected !== undefined && areSame(expected.dataSync(), tensor.dataSync(), tolerance);
    });
    if (isSame) return { graph, results: found };
  } catch {
    // What the operations can do one by one goes on so, also where a graph finds no room.
  }
  tf.dispose([...found]);
  graph?.dispose();
  return undefined;
}

function areSame(expected: ArrayLike<number>, found: ArrayLike<number>, tolerance: number): boolean {
  let largest = 0;
  let gap = 0;
  for (let index = 0; index < expected.length; index++) {
    const [one, other] = [Number(expected[index]), Number(found[index])];
    if (one === other || (Number.isNaN(one) && Number.isNaN(other))) continue;
    if (tolerance === 0 || !Number.isFinite(one - other)) return false;
    gap = Math.max(gap, Math.abs(one - other));
  }
  if (gap === 0) return true;
  for (let index = 0; index < expected.length; index++) {
    const size = Math.abs(Number(expected[index]));
    if (Number.isFinite(size)) largest = Math.max(largest, size);
  }
  return gap <= tolerance * largest;
}
