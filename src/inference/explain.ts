/** @file Grad-CAM: where in its last features a model saw a class (Selvaraju et al. 2017, arXiv:1610.02391). */
import type { Checkpoint } from "../checkpoint.ts";
import type { ModelInputs } from "../data/dataset.ts";
import { ensureEngine } from "../engine/backend.ts";
import { gradients } from "../engine/tape.ts";
import { tf } from "../engine/tf.ts";
import { repeatable } from "../engine/webgpu/repeatable.ts";
import { TopologyError, UsageError } from "../errors.ts";
import { nearestNames } from "../freeze/suggestions.ts";
import { inferenceContextOf } from "../model/inference-program.ts";
import { programBetween } from "../model/program.ts";
import { runProgram } from "../model/run-program.ts";
import { disposeWeights, uploadRows, uploadWeights } from "../model/uploads.ts";
import { requireOptions, wholeNumber } from "../options.ts";
import { listed } from "../task/head-choice.ts";
import { highest } from "../task/metrics/accuracies.ts";
import type { TaskOutput } from "../task/task.ts";
import { taskOf } from "../task/task-of.ts";
import type { InputTensor, Tensor } from "../tensor.ts";
import { float32Tensor, formatShape } from "../tensor.ts";
import { layerGraph } from "../topology/build-graph.ts";
import type { GraphNode, LayerGraph, TensorRef } from "../topology/layer-graph.ts";
import { layerLookup, nodeAt, refKey, tensorAt } from "../topology/layer-graph.ts";
import { inferenceForm } from "../topology/rewrites/inference-form.ts";
import { withLogitsOutputs } from "../topology/rewrites/logits-output.ts";
import { callsThatStayActive } from "../topology/stays-active.ts";
import { requireSupported } from "../topology/support.ts";
import { chosenOutputs } from "./output-predictions.ts";
import { orderedInputs } from "./predict.ts";

export interface ExplainOptions {
  /** Path of the layer whose output is looked at. Defaults to the last one before the head that keeps positions, pooling left aside. */
  readonly layer?: string | undefined;
  /** The output to explain, of a model with several. Defaults to the first. */
  readonly output?: string | undefined;
  /** Class, label or value to explain, by its index, for all samples or for each. Defaults to what the model predicts. */
  readonly target?: number | readonly number[] | undefined;
  /** Samples that run together. Defaults to 32. */
  readonly batchSize?: number | undefined;
}

/** Places where a model looked. */
export interface Explanation {
  /** Path of the layer whose output was looked at. */
  readonly layer: string;
  /** `[N, height, width]`, float32, 0 to 1: how much each position speaks for the target, the highest of each sample being 1. */
  readonly heatmaps: Tensor;
  /** Index of the class, label or value that each sample's map explains. */
  readonly targets: readonly number[];
}

/**
 * Returns a heatmap for each sample: the features of the last layer with positions, weighted by the mean gradient of the target's
 * score over all positions, where positive. The score is the logit, before a softmax or sigmoid. Nothing is preprocessed.
 * @throws {TopologyError} for a model without features that have positions, or an output with positions of its own.
 * @throws {UsageError} for a layer, an output or a target that the model does not have.
 *
 * @example
 * const { heatmaps, targets } = await explain(checkpoint, images);
 */
export async function explain(
  checkpoint: Checkpoint,
  inputs: ModelInputs,
  options: ExplainOptions = {},
): Promise<Explanation> {
  requireOptions(options, { layer: null, output: null, target: null, batchSize: wholeNumber(1) });
  const { batchSize = 32, target, ...what } = options;
  const explainer = await openExplainer(checkpoint, what);
  try {
    const ordered = orderedInputs(inputs, explainer.graph);
    const samples = ordered[0]?.shape[0] ?? 0;
    const parts: Explanation[] = [];
    for (let from = 0; from < samples; from += batchSize) {
      const to = Math.min(from + batchSize, samples);
      parts.push(await explainer.run(ordered, from, to, targetsOf(target, from, to)));
    }
    const maps = parts.map(({ heatmaps }) => heatmaps);
    const data = new Float32Array(maps.reduce((sum, map) => sum + map.data.length, 0));
    let at = 0;
    for (const map of maps) {
      data.set(map.data as Float32Array, at);
      at += map.data.length;
    }
    return {
      layer: explainer.layer,
      heatmaps: float32Tensor(data, [samples, ...(maps[0]?.shape.slice(1) ?? [])]),
      targets: parts.flatMap(({ targets }) => targets),
    };
  } finally {
    explainer.dispose();
  }
}

function targetsOf(target: ExplainOptions["target"], from: number, to: number): readonly number[] | null {
  if (target === undefined) return null;
  return Array.from({ length: to - from }, (_, row) =>
    typeof target === "number" ? target : (target[from + row] ?? Number.NaN),
  );
}

/** A model that explains many batches, its weights on the engine. */
export interface Explainer {
  readonly graph: LayerGraph;
  readonly layer: string;
  /** The output that is explained. */
  readonly output: TaskOutput;
  /** Explains rows `from` to `to` (exclusive) of inputs in model order; the predicted target where `targets` is null. */
  run(
    inputs: readonly InputTensor[],
    from: number,
    to: number,
    targets: readonly number[] | null,
  ): Promise<Explanation>;
  dispose(): void;
}

export async function openExplainer(
  checkpoint: Checkpoint,
  { layer: asked, output: name }: Pick<ExplainOptions, "layer" | "output"> = {},
): Promise<Explainer> {
  await ensureEngine();
  const plain = layerGraph(checkpoint);
  requireSupported(plain);
  const task = taskOf(checkpoint);
  const [index = 0] = name === undefined ? [0] : chosenOutputs(task, name);
  const output = task.outputs[index];
  const { graph } = withLogitsOutputs(plain);
  const end = graph.outputs[index]?.ref;
  if (!output || !end) throw new TopologyError(`${plain.name}: expected an output to explain, got none.`);
  const shape = tensorAt(graph, end).shape ?? [];
  if (shape.length !== 2) {
    throw new TopologyError(
      `${output.name}: Grad-CAM: expected one row of scores for each sample, got ${formatShape(shape)}.`,
      "explain-positions",
    );
  }
  const features = asked === undefined ? lastFeatures(graph, end) : featuresOf(graph, asked);
  const active = new Set(callsThatStayActive(graph).normalizations.map((node) => node.layer));
  const form = inferenceForm(graph, checkpoint.weights, {
    foldable: (path) => !active.has(path),
    silenced: () => true,
    kept: [features, end],
  });
  const [from, to] = form.kept as [TensorRef, TensorRef];
  const inputs = form.graph.inputs.map(({ ref }) => ref);
  const trunk = programBetween(form.graph, inputs, [from]);
  const tail = programBetween(form.graph, [...inputs, from], [to]);
  const weights = uploadWeights(
    form.weights,
    [...trunk.nodes, ...tail.nodes].map((node) => node.layer),
  );
  const contextOf = inferenceContextOf(form.graph);
  return {
    graph: plain,
    layer: nodeAt(graph, features.node).layer,
    output,
    run: async (given, first, end, targets) => {
      const feeds = given.map((input) => uploadRows(input, first, end));
      const [values] = (await repeatable(() => runProgram(trunk, feeds, weights, contextOf))) as [tf.Tensor];
      const scoresOf = (): tf.Tensor =>
        runProgram(tail, [...feeds, values], weights, contextOf)[0] as tf.Tensor;
      const scores = await repeatable(scoresOf);
      const chosen = targets ?? predictedTargets(output, scores.shape, (await scores.data()) as Float32Array);
      requireTargets(output, chosen, scores.shape[1] ?? 0);
      const signs = tf.tensor2d(
        signsOf(output, chosen, scores.shape[1] ?? 0),
        scores.shape as [number, number],
      );
      const { value, gradients: found } = await repeatable(() =>
        gradients(() => tf.sum(tf.mul(scoresOf(), signs)), [values]),
      );
      const [gradient] = found;
      const maps = tf.tidy(() => heatmapsOf(values, gradient ?? tf.zerosLike(values)));
      const heatmaps = float32Tensor(Float32Array.from(await maps.data()), maps.shape);
      tf.dispose([...feeds, values, scores, signs, value, maps]);
      gradient?.dispose();
      return { layer: nodeAt(graph, features.node).layer, heatmaps, targets: chosen };
    },
    dispose: () => disposeWeights(weights),
  };
}

/** Returns the positive part of the features weighted by their mean gradients, each sample's highest value 1. */
function heatmapsOf(values: tf.Tensor, gradient: tf.Tensor): tf.Tensor {
  const positions = values.shape.slice(1, -1).map((_, index) => index + 1);
  const importance = tf.mean(gradient, positions, true);
  const maps = tf.relu(tf.sum(tf.mul(values, importance), -1));
  return tf.divNoNan(maps, tf.max(maps, positions, true));
}

/** Returns the index of what is predicted for each row of logits; of a lone unit that decides between two classes, 0 or 1. */
function predictedTargets(
  { kind }: TaskOutput,
  [rows = 0, units = 0]: readonly number[],
  data: Float32Array,
): readonly number[] {
  if (kind === "values") return new Array<number>(rows).fill(0);
  if (kind === "classes" && units === 1) return Array.from(data, (score) => (score > 0 ? 1 : 0));
  return Array.from(highest({ shape: [rows, units], data }));
}

function requireTargets({ name, kind }: TaskOutput, targets: readonly number[], units: number): void {
  const count = kind === "classes" && units === 1 ? 2 : units;
  const strange = targets.find((target) => !(Number.isInteger(target) && target >= 0 && target < count));
  if (strange === undefined) return;
  throw new UsageError(
    `target: expected an index from 0 to ${count - 1} of ${name} for each sample, got ${Number.isNaN(strange) ? "none" : strange}.`,
    "explain-target",
    "target",
  );
}

/** Returns what each score counts in the sum whose gradient is taken: 1 for the target; -1 for the lone logit that speaks against it. */
function signsOf({ kind }: TaskOutput, targets: readonly number[], units: number): Float32Array {
  const signs = new Float32Array(targets.length * units);
  for (const [row, target] of targets.entries()) {
    if (units > 1 || kind !== "classes") signs[row * units + target] = 1;
    else signs[row] = target === 1 ? 1 : -1;
  }
  return signs;
}

/** Layers between features and head that take positions away or move them, or are the identity. */
const afterFeatures =
  /^(?:(?:Global)?(?:Max|Average)Pooling\dD|(?:Spatial)?Dropout(?:\dD)?|Flatten|Reshape|Identity)$/u;

/** Returns the output of the last layer before the output whose positions are more than one. */
function lastFeatures(graph: LayerGraph, output: TensorRef): TensorRef {
  const layerOf = layerLookup(graph);
  const inputs = new Set(graph.inputs.map(({ ref }) => refKey(ref)));
  const hasPositions = ({ node, output: own }: TensorRef): boolean => {
    const shape = nodeAt(graph, node).outputs[own]?.shape;
    return (shape?.length ?? 0) >= 4 && shape?.slice(1, -1).some((size) => size !== 1) === true;
  };
  const isWanted = (node: GraphNode): boolean =>
    node.outputs.length === 1 &&
    hasPositions({ node: node.index, output: 0 }) &&
    !inputs.has(refKey({ node: node.index, output: 0 })) &&
    !afterFeatures.test(layerOf(node.layer).className);
  const node = programBetween(graph, [], [output]).nodes.findLast(isWanted);
  if (node) return { node: node.index, output: 0 };
  throw new TopologyError(
    `${graph.name}: Grad-CAM: expected a layer with features [N,height,width,channels] before the head, got none. Models of images have them; in code, name another layer.`,
    "explain-features",
  );
}

/** Returns the output of the last call of the layer that was asked for. */
function featuresOf(graph: LayerGraph, path: string): TensorRef {
  const node = graph.nodes.findLast(({ layer }) => layer === path);
  if (!node) {
    const near = nearestNames(
      path,
      graph.layers.map((layer) => layer.path),
      3,
    );
    throw new UsageError(
      `layer: expected a layer of the model, got ${path}.${near.length > 0 ? ` Did you mean ${listed(near, 3)}?` : ""}`,
      "explain-layer",
      "layer",
    );
  }
  const { shape } = tensorAt(graph, { node: node.index, output: 0 });
  if ((shape?.length ?? 0) >= 3) return { node: node.index, output: 0 };
  throw new UsageError(
    `${path}: expected an output with positions, [N,height,width,channels], got ${formatShape(shape ?? [])}.`,
    "explain-layer",
    "layer",
  );
}
