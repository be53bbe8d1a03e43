import type { GraphLayer, GraphNode, LayerGraph, TensorRef } from "../layer-graph.ts";
import { layersByPath, nodeAt, refKey } from "../layer-graph.ts";
import { outputSpecs } from "../layer-specs.ts";
import type { LayerWindow, Restrided } from "./layer-window.ts";
import { restrided } from "./layer-window.ts";
import { renumbered, withReads } from "./renumber.ts";
import { spatialDataFormat } from "./stride-crossing.ts";
import type { Steps, StrideAnalysis } from "./wanted-steps.ts";
import { analyzeStrides, isThin, shapeAt, stridedAxes } from "./wanted-steps.ts";

/** Options of {@link pushStrides}. */
export interface PushStridesOptions {
  /**
   * Returns whether a call computes the same values at some positions without the others. That is false for
   * BatchNormalization on batch statistics and for an active Dropout.
   */
  readonly canPushThrough: (node: GraphNode) => boolean;
  /** Tensors that must stay as they are besides the graph's outputs. */
  readonly kept?: readonly TensorRef[];
}

/** A graph with strides pushed toward its input. */
export interface PushedStrides {
  /** Graph with all original layers and weights. New padding and subsampling layers are at the end of `layers`. */
  readonly graph: LayerGraph;
  /** The `kept` tensors of the options, in the same order, in the new graph. */
  readonly kept: readonly TensorRef[];
}

/**
 * Pushes strides toward the input. A strided 1x1 convolution or pool reads only every s-th position of its input, so
 * positions without another reader need not be computed. The stride moves across calls that work on each position on
 * its own into earlier layers that can run at a larger stride with the same padding. In a branch without such a layer a
 * pool of size 1 selects every s-th position. Returns the same graph if no convolution, Dense or pool would compute
 * less.
 */
export function pushStrides(graph: LayerGraph, options: PushStridesOptions): PushedStrides {
  const kept = options.kept ?? [];
  if (graph.layers.some(startsMask)) return { graph, kept };
  const analysis = analyzeStrides(graph, options.canPushThrough, kept);
  if (analysis.given.size === 0) return { graph, kept };
  const draft = draftOf(analysis);
  for (const node of graph.nodes) appendThinned(draft, analysis, node);
  const { graph: pushed, moved } = renumbered(graph, {
    nodes: draft.nodes,
    layers: [...draft.layers.values()],
    redirect: (ref) => ref,
  });
  return { graph: pushed, kept: kept.map(moved) };
}

/** Returns whether a layer makes a mask, whose positions cannot be subsampled. */
function startsMask(layer: GraphLayer): boolean {
  return layer.className === "Masking" || layer.config["mask_zero"] === true;
}

/** The new graph under construction. Nodes keep their old indices; new nodes get larger ones. */
interface Draft {
  readonly nodes: GraphNode[];
  readonly layers: Map<string, GraphLayer>;
  readonly outputs: Map<number, GraphNode["outputs"]>;
  /** Subsampled tensors by tensor and steps. */
  readonly subsampled: Map<string, TensorRef>;
  nextIndex: number;
}

function draftOf({ graph }: StrideAnalysis): Draft {
  return {
    nodes: [],
    layers: layersByPath(graph),
    outputs: new Map(),
    subsampled: new Map(),
    nextIndex: graph.nodes.length,
  };
}

function layerIn({ layers }: Draft, path: string): GraphLayer {
  const layer = layers.get(path);
  if (!layer) throw new Error(`graph rewrite: no layer at path ${path}`);
  return layer;
}

/** Appends a call that computes only the needed positions of its output. */
function appendThinned(draft: Draft, { graph, crossingOf, given }: StrideAnalysis, node: GraphNode): void {
  const crossing = crossingOf(node);
  const output = given.get(refKey({ node: node.index, output: 0 }));
  const input = node.inputs[0];
  const inputSteps = input && given.get(refKey(input));
  if (crossing.kind === "window" && input && (output || inputSteps)) {
    const layer = layerIn(draft, node.layer);
    const strides = stridesLeft(crossing.window, output, inputSteps);
    const changed = restrided(layer, crossing.window, shapeAt(graph, input) ?? [], strides);
    if (!changed) throw new Error(`graph rewrite: ${layer.path} cannot run at the analyzed strides`);
    draft.layers.set(layer.path, { ...layer, config: changed.config });
    const source = changed.margins ? insertPadding(draft, layer, changed.margins, input) : input;
    append(
      draft,
      withReads(node, () => source),
    );
  } else if (crossing.kind === "pass" && output) {
    const sources = new Map(
      node.inputs.map((ref) => {
        const shape = shapeAt(graph, ref);
        const before = given.get(refKey(ref));
        const steps = output.map((step, axis) => (shape?.[axis] === 1 ? 1 : step / (before?.[axis] ?? 1)));
        const producer = layerIn(draft, nodeAt(graph, ref.node).layer);
        return [refKey(ref), isThin(steps) ? subsampledOf(draft, producer, ref, steps) : ref] as const;
      }),
    );
    append(
      draft,
      withReads(node, (ref) => sources.get(refKey(ref)) ?? ref),
    );
  } else {
    append(draft, node);
  }
}

/** Returns the strides that remain for a window between the steps of its input and those of its output. */
function stridesLeft(window: LayerWindow, output: Steps | undefined, input: Steps | undefined): number[] {
  return window.axes.map(
    (axis, at) => ((window.strides[at] ?? 1) * (output?.[axis] ?? 1)) / (input?.[axis] ?? 1),
  );
}

function append(draft: Draft, node: GraphNode): void {
  const outputs = outputSpecs(layerIn(draft, node.layer), {
    inputs: node.inputs.flatMap(({ node: source, output }) => draft.outputs.get(source)?.[output] ?? []),
    args: node.args,
    kwargs: node.kwargs,
    outputsRead: node.outputs.length,
  });
  draft.outputs.set(node.index, outputs);
  draft.nodes.push({ ...node, outputs });
}

/** Returns a tensor with every s-th position, which a pool of size 1 selects exactly. */
function subsampledOf(draft: Draft, producer: GraphLayer, ref: TensorRef, steps: Steps): TensorRef {
  const key = `${refKey(ref)} ${steps.join()}`;
  const found = draft.subsampled.get(key);
  if (found) return found;
  const format = spatialDataFormat(stridedAxes(steps), steps.length) ?? "channels_last";
  const spatial = format === "channels_last" ? steps.slice(1, -1) : steps.slice(2);
  const config = {
    pool_size: spatial.map(() => 1),
    strides: spatial,
    padding: "valid",
    data_format: format,
  };
  const inserted = insert(draft, producer, "subsample", `MaxPooling${spatial.length}D`, config, ref);
  draft.subsampled.set(key, inserted);
  return inserted;
}

function insertPadding(
  draft: Draft,
  layer: GraphLayer,
  margins: NonNullable<Restrided["margins"]>,
  ref: TensorRef,
): TensorRef {
  const [first, ...others] = margins;
  const config = {
    padding: first && others.length === 0 ? first : margins,
    data_format: layer.config["data_format"] ?? "channels_last",
  };
  return insert(draft, layer, "padding", `ZeroPadding${margins.length}D`, config, ref);
}

/** Appends a call of a new layer that is named after an existing one. */
function insert(
  draft: Draft,
  neighbour: GraphLayer,
  what: string,
  className: string,
  config: GraphLayer["config"],
  ref: TensorRef,
): TensorRef {
  const suffix = freeSuffix(draft.layers, neighbour.path, what);
  const name = `${neighbour.name}${suffix}`;
  const path = `${neighbour.path}${suffix}`;
  const index = draft.layers.size;
  draft.layers.set(path, { ...neighbour, path, name, className, config: { name, ...config }, index });
  const node = draft.nextIndex;
  draft.nextIndex += 1;
  append(draft, {
    index: node,
    layer: path,
    args: [{ kind: "tensor", ref }],
    kwargs: {},
    inputs: [ref],
    outputs: [],
  });
  return { node, output: 0 };
}

function freeSuffix(layers: ReadonlyMap<string, GraphLayer>, path: string, what: string): string {
  let suffix = `_${what}`;
  for (let count = 1; layers.has(path + suffix); count += 1) suffix = `_${what}_${count}`;
  return suffix;
}
