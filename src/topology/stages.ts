import type { Shape } from "../tensor.ts";
import type { NodeShapes } from "./concrete-shapes.ts";
import { concreteShapes } from "./concrete-shapes.ts";
import { headOf } from "./head-of.ts";
import type { GraphLayer, GraphNode, LayerGraph } from "./layer-graph.ts";
import { layerLookup, nodeAt } from "./layer-graph.ts";
import { textStages } from "./text-stages.ts";
import { weightSpecsOf } from "./weights-of.ts";

/** Stages of a network: parts that a user can name, such as `conv4`, `block6` or `head`. */
export interface Stages {
  /** Names of the stages in order of appearance, which freeze policies accept. */
  readonly labels: readonly string[];
  /** Returns the stage of the layer at a path, null for an InputLayer. */
  readonly labelOf: (path: string) => string | null;
  /**
   * Returns whether the layer at `path` is in the stage `name`: one of `labels`, or `stageN` or `convN` for the N-th
   * resolution.
   */
  readonly matches: (name: string, path: string) => boolean;
}

/**
 * Divides a network into stages. Stage N consists of the layers with the N-th distinct output resolution among
 * trainable layers; squeeze-and-excitation does not count as a resolution. Layers without weights belong to the stage
 * of their input. If most layer names contain a label (`block3` in `block3_conv1`), that label names the stage; if most layers
 * lie in numbered blocks (`transformer_block_3/mha`), the block does, and `stem` what comes before; else `convN`. Layers after the last resolution form the stages `top` and `head`.
 */
export function stagesOf(graph: LayerGraph): Stages {
  const blocks = textStages(graph);
  const numbers = blocks ? new Map<string, number>() : stageNumbers(graph);
  const labels = blocks ?? stageLabels(graph, numbers);
  const ordered = [...new Set(graph.layers.flatMap((layer) => labels.get(layer.path) ?? []))];
  return {
    labels: ordered,
    labelOf: (path) => labels.get(path) ?? null,
    matches: (name, path) => {
      if (ordered.includes(name)) return labels.get(path) === name;
      const alias = /^(?:stage|conv)(\d+)$/iu.exec(name);
      return alias !== null && numbers.get(path) === Number(alias[1]);
    },
  };
}

/** Numbers the layers by their resolution, from 1. Layers after the last resolution and InputLayers are absent. */
function stageNumbers(graph: LayerGraph): ReadonlyMap<string, number> {
  const shapes = concreteShapes(graph);
  const layerOf = layerLookup(graph);
  const squeezed = squeezedNodes(graph, shapes);
  const top = topNodes(graph, squeezed);
  const ownNumbers = resolutionNumbers(graph, shapes, squeezed);
  const byNode: (number | undefined)[] = [];
  for (const node of graph.nodes) {
    const read = node.inputs.map((ref) => byNode[ref.node] ?? 0);
    const inherited = Math.max(0, ...read) || undefined;
    byNode.push(top.has(node.index) ? undefined : (ownNumbers.get(node.layer) ?? inherited));
  }
  for (const node of graph.nodes.toReversed()) {
    if (byNode[node.index] === undefined) continue;
    for (const { node: source } of node.inputs) {
      if (layerOf(nodeAt(graph, source).layer).className === "InputLayer") continue;
      byNode[source] ??= top.has(source) ? undefined : byNode[node.index];
    }
  }
  const numbers = new Map<string, number>();
  for (const node of graph.nodes.toReversed()) {
    const number = byNode[node.index];
    if (number !== undefined) numbers.set(node.layer, number);
  }
  return numbers;
}

/** Numbers the distinct output resolutions of trainable layers in order of appearance. */
function resolutionNumbers(
  graph: LayerGraph,
  shapes: readonly NodeShapes[],
  squeezed: ReadonlySet<number>,
): ReadonlyMap<string, number> {
  const canTrain = trainableLayers(graph);
  const firstNodes = new Map<string, GraphNode>();
  for (const node of graph.nodes) if (!firstNodes.has(node.layer)) firstNodes.set(node.layer, node);
  const channelsFirst = graph.layers.some((layer) => layer.config["data_format"] === "channels_first");
  const resolutions: string[] = [];
  const numbers = new Map<string, number>();
  for (const layer of graph.layers) {
    const node = firstNodes.get(layer.path);
    if (!node || !canTrain.has(layer.path) || squeezed.has(node.index)) continue;
    const resolution = resolutionOf(shapes[node.index]?.[0] ?? null, channelsFirst);
    if (resolution === null) continue;
    if (!resolutions.includes(resolution)) resolutions.push(resolution);
    numbers.set(layer.path, resolutions.indexOf(resolution) + 1);
  }
  return numbers;
}

/** Returns the resolution as text (`56,56`), null for a shape without spatial dimensions. */
function resolutionOf(shape: Shape | null, channelsFirst: boolean): string | null {
  if (shape === null || shape.length < 3) return null;
  return (channelsFirst ? shape.slice(2) : shape.slice(1, -1)).join();
}

/**
 * Returns the calls without spatial dimensions: those after a global pooling or a Flatten, up to a merge with a tensor
 * that has spatial dimensions.
 */
function squeezedNodes(graph: LayerGraph, shapes: readonly NodeShapes[]): ReadonlySet<number> {
  const layerOf = layerLookup(graph);
  const squeezed = new Set<number>();
  for (const node of graph.nodes) {
    const { className } = layerOf(node.layer);
    const inputs = node.inputs.map((ref) => ref.node);
    const shape = shapes[node.index]?.[0];
    const loses = /^Global|^Flatten$|^ops\.(?:Mean|Max|Amax)$/u.test(className) || shape?.length === 2;
    if (loses || (inputs.length > 0 && inputs.every((input) => squeezed.has(input))))
      squeezed.add(node.index);
  }
  return squeezed;
}

/** Returns the squeezed calls after which no spatial dimensions appear again. */
function topNodes(graph: LayerGraph, squeezed: ReadonlySet<number>): ReadonlySet<number> {
  const leadsBack = new Set<number>();
  for (const node of graph.nodes.toReversed()) {
    if (squeezed.has(node.index) && !leadsBack.has(node.index)) continue;
    for (const ref of node.inputs) leadsBack.add(ref.node);
  }
  return new Set([...squeezed].filter((index) => !leadsBack.has(index)));
}

function trainableLayers(graph: LayerGraph): ReadonlySet<string> {
  const specs = weightSpecsOf(graph);
  return new Set([...specs].flatMap(([path, own]) => (own.some((spec) => spec.trainable) ? [path] : [])));
}

function stageLabels(graph: LayerGraph, numbers: ReadonlyMap<string, number>): ReadonlyMap<string, string> {
  const canTrain = trainableLayers(graph);
  const head = headOf(graph);
  const headPaths = new Set(head ? [head.path, ...head.tail] : []);
  const trained = graph.layers.filter((layer) => canTrain.has(layer.path) && numbers.has(layer.path));
  const word = blockWord(trained);
  const labels = new Map<string, string>();
  const isInBlocks = word === null && liesInBlocks(trained);
  if (isInBlocks) {
    for (const { path } of graph.layers) {
      const block = blockOf(path);
      if (block !== null && numbers.has(path)) labels.set(path, block);
    }
    inheritFromSources(graph, numbers, labels);
    for (const path of numbers.keys()) if (!labels.has(path)) labels.set(path, "stem");
  } else if (word === null) {
    const name = graph.layers.some((layer) => /Conv/u.test(layer.className)) ? "conv" : "stage";
    for (const [path, number] of numbers) labels.set(path, `${name}${number}`);
  } else {
    for (const layer of graph.layers) {
      const label = ownLabel(layer, word);
      if (label !== null && numbers.has(layer.path)) labels.set(layer.path, label);
    }
    inheritLabels(graph, numbers, labels);
  }
  const top = graph.layers.filter((layer) => !numbers.has(layer.path) && layer.className !== "InputLayer");
  const topName = top.some((layer) => canTrain.has(layer.path) && !headPaths.has(layer.path))
    ? "top"
    : "head";
  for (const layer of top) labels.set(layer.path, topName);
  for (const path of headPaths) labels.set(path, "head");
  return labels;
}

/** Returns the word before the number in most names (`block` in `block3_conv1`), null if most names have none. */
function blockWord(layers: readonly GraphLayer[]): string | null {
  const named = ["conv", "block", "stage"].map((word) => {
    const count = layers.filter((layer) =>
      new RegExp(`^${word}\\d`, "u").test(ownLabel(layer, word) ?? ""),
    ).length;
    return { word, count };
  });
  const most = named.reduce((best, candidate) => (candidate.count > best.count ? candidate : best));
  return most.count * 2 >= layers.length && most.count > 0 ? most.word : null;
}

/** Returns whether most layers lie in the numbered blocks of a transformer or of the like. */
function liesInBlocks(layers: readonly GraphLayer[]): boolean {
  const inside = layers.filter(({ path }) => blockOf(path) !== null);
  return inside.length > 0 && inside.length * 2 >= layers.length;
}

/** Returns the outermost numbered block that a path lies in: `stage_1` of `backbone/stage_1/blocks_0/mlp/fc1`. */
function blockOf(path: string): string | null {
  const word =
    "transformer_block|transformer_layer|hierarchical_encoder|patch_and_embed|encoder_stage|stage|layers|blocks";
  return new RegExp(`(?:^|/)((?:${word})_\\d+(?:_\\d+)?)/`, "u").exec(path)?.[1] ?? null;
}

function ownLabel(layer: GraphLayer, word: string): string | null {
  if (/^conv[123]d(?:_|$)/u.test(layer.name)) return null;
  const match = new RegExp(`^(${word}\\d+)(?:[a-z]?(?:[_\\-./]|$))`, "u").exec(layer.name);
  return match?.[1] ?? /^(stem|top)(?=_)/u.exec(layer.name)?.[1] ?? null;
}

/**
 * Assigns layers without a label in their names to the stage of the layer that they read, or of the layer that reads
 * them if they read none.
 */
function inheritLabels(
  graph: LayerGraph,
  numbers: ReadonlyMap<string, number>,
  labels: Map<string, string>,
): void {
  inheritFromSources(graph, numbers, labels);
  for (const node of graph.nodes.toReversed()) {
    const label = labels.get(node.layer);
    for (const ref of node.inputs) {
      const { layer } = nodeAt(graph, ref.node);
      if (label !== undefined && numbers.has(layer) && !labels.has(layer)) labels.set(layer, label);
    }
  }
}

function inheritFromSources(
  graph: LayerGraph,
  numbers: ReadonlyMap<string, number>,
  labels: Map<string, string>,
): void {
  for (const node of graph.nodes) {
    const sources = node.inputs.map((ref) => labels.get(nodeAt(graph, ref.node).layer));
    const label = sources.findLast((each) => each !== undefined);
    if (label !== undefined && numbers.has(node.layer) && !labels.has(node.layer))
      labels.set(node.layer, label);
  }
}
