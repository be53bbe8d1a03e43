import type { Weights } from "../checkpoint.ts";
import { onnxThreads } from "../engine/backend.ts";
import { tf } from "../engine/tf.ts";
import { readsLater, repeatable } from "../engine/webgpu/repeatable.ts";
import type { Partition } from "../freeze/partition.ts";
import type { Program } from "../model/program.ts";
import { programBetween } from "../model/program.ts";
import { programRunner } from "../model/program-runner.ts";
import type { LayerWeights } from "../model/uploads.ts";
import { disposeWeights, uploadWeights } from "../model/uploads.ts";
import type { TensorRef } from "../topology/layer-graph.ts";
import type { RewrittenGraph } from "../topology/rewrites/fold-batch-norm.ts";
import { inferenceForm } from "../topology/rewrites/inference-form.ts";
import type { CutModel } from "./cut.ts";
import { leaveWeights, takeWeights } from "./left-work.ts";
import { type OnnxTrunk, openOnnxTrunk } from "./onnx-trunk.ts";
import { drawingProgram, runDrawing } from "./views/model-layers.ts";
import type { DrawnView } from "./views/view.ts";

/** The static part as a program in inference form, with the weights that it runs on. */
export interface StaticProgram {
  readonly program: Program;
  /** Derived weights: normalization is folded into them. */
  readonly weights: Weights;
}

/** The static part on the engine: it runs once per sample. */
export interface Trunk {
  /**
   * Returns one tensor for each frontier tensor. With `views`, one for each of the first rows, the random layers that the model
   * begins with draw what each row's view is made of. The caller owns inputs and outputs.
   */
  run(inputs: readonly tf.Tensor[], views?: readonly DrawnView[]): Promise<tf.Tensor[]>;
  /** Releases all but the weights, which stay on the engine for the next trunk of the same program, or until `disposeLeftWork`. */
  leaveWeights(): void;
  dispose(): void;
}

/** Returns the static part: identities gone, normalization folded, linear Dense merged. Exact but for rounding. */
export function staticProgram(cut: CutModel, weights: Weights): StaticProgram {
  const form = formOf(cut, weights, cut.partition.frontier);
  const inputs = form.graph.inputs.map((input) => input.ref);
  return { program: programBetween(form.graph, inputs, form.kept), weights: form.weights };
}

/** Static parts that a plan has built and the run has not taken yet, by their partition. */
const planned = new WeakMap<Partition, { readonly weights: Weights; readonly part: StaticProgram }>();

/** Returns the static part, which stays in memory for the run that takes it with `takeStaticProgram`. */
export function planStaticProgram(cut: CutModel, weights: Weights): StaticProgram {
  const known = planned.get(cut.partition);
  const part = known?.weights === weights ? known.part : staticProgram(cut, weights);
  planned.set(cut.partition, { weights, part });
  return part;
}

/** Returns the static part that the plan has built, if it is of these weights, and holds it no more; else a new one. */
export function takeStaticProgram(cut: CutModel, weights: Weights): StaticProgram {
  const known = planned.get(cut.partition);
  planned.delete(cut.partition);
  return known?.weights === weights ? known.part : staticProgram(cut, weights);
}

/** A later cut's static part with the frontier of an earlier cut of the same graph kept in it. */
export interface SplitProgram {
  /** From the model's inputs to the earlier frontier. */
  readonly toEarlier: StaticProgram;
  /** From the model's inputs to the later frontier. */
  readonly toLater: StaticProgram;
  /** From the earlier frontier to the later one. */
  readonly between: StaticProgram;
}

/** Returns a later cut's static part in two, at the frontier of an earlier cut: `isEarlierCut(earlier, later)`. */
export function splitProgram(earlier: CutModel, later: CutModel, weights: Weights): SplitProgram {
  const given = earlier.partition.frontier;
  const { graph, kept, weights: derived } = formOf(later, weights, [...given, ...later.partition.frontier]);
  const inputs = graph.inputs.map((input) => input.ref);
  const [from, to] = [kept.slice(0, given.length), kept.slice(given.length)];
  const between = (starts: readonly TensorRef[], ends: readonly TensorRef[]): StaticProgram => ({
    program: programBetween(graph, starts, ends),
    weights: derived,
  });
  return { toEarlier: between(inputs, from), toLater: between(inputs, to), between: between(from, to) };
}

/** Returns whether two cuts are in one graph, and all that is static in the first is static in the second. */
export function isEarlierCut(earlier: CutModel, later: CutModel): boolean {
  return (
    earlier.graph === later.graph &&
    earlier.partition.sides.every(
      (side, node) => side === "dynamic" || later.partition.sides[node] === "static",
    )
  );
}

function formOf(
  { graph, partition: { sides } }: CutModel,
  weights: Weights,
  kept: readonly TensorRef[],
): RewrittenGraph {
  const dynamic = new Set(
    graph.nodes.filter((node) => sides[node.index] === "dynamic").map((node) => node.layer),
  );
  return inferenceForm(graph, weights, {
    intoSums: readsLater(),
    foldable: (path) => !dynamic.has(path),
    silenced: (node) => sides[node.index] === "static",
    kept,
  });
}

/** Puts the static part on the engine; on ONNX Runtime where that is installed beside wasm and gives the same features. */
export function createTrunk(part: StaticProgram): Trunk {
  const { program, weights } = part;
  const drawing = drawingProgram(program);
  const paths = program.nodes.map((node) => node.layer);
  const uploaded: LayerWeights = takeWeights(part) ?? uploadWeights(weights, paths);
  const runner = programRunner(program);
  const compute = (inputs: readonly tf.Tensor[]): tf.Tensor[] => {
    const { outputs, masks } = runner.run(inputs, uploaded);
    tf.dispose(masks.filter((mask) => mask !== undefined));
    return outputs;
  };
  // What has no weights costs less than handing tensors over.
  const threads = uploaded.size > 0 ? onnxThreads() : null;
  let onnx: Promise<OnnxTrunk | null> | undefined;
  const release = (): void => {
    void onnx?.then(
      (trunk) => trunk?.dispose(),
      () => {},
    );
    runner.dispose();
  };
  return {
    run: async (inputs, views) => {
      if (drawing && views?.some(({ view }) => view !== 0))
        return repeatable(() => runDrawing(drawing, inputs, uploaded, views));
      if (threads !== null) onnx ??= openOnnxTrunk({ program, weights }, inputs, threads, compute);
      const elsewhere = await onnx;
      return elsewhere ? elsewhere.run(inputs) : repeatable(() => compute(inputs));
    },
    leaveWeights: () => {
      release();
      leaveWeights(part, uploaded);
    },
    dispose: () => {
      release();
      disposeWeights(uploaded);
    },
  };
}
