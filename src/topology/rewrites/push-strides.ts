import type { GraphLayer, GraphNode, LayerGraph, TensorRef } from "../layer-graph.ts";
import { refKey } from "../layer-graph.ts";
import { outputSpecs } from "../layer-specs.ts";
import type { LayerWindow, Restrided } from "./layer-window.ts";
import { restrided } from "./layer-window.ts";
import { renumbered, withReads } from "./renumber.ts";
import { spatialDataFormat } from "./stride-crossing.ts";
import type { Steps, StrideAnalysis } from "./wanted-steps.ts";
import { analyzeStrides, isThin, shapeAt, stridedAxes } from "./wanted-steps.ts";

export interface PushStridesOptions {
  /**
   * Whether a call gives the same numbers at the positions that are left when it sees no others: false for a BatchNormalization
   * on batch statistics and for a Dropout that is active.
   */
  readonly canPushThrough: (node: GraphNode) => boolean;
  /** Tensors that must stay as they are, besides the graph's outputs. */
  readonly kept?: readonly TensorRef[];
}

export interface PushedStrides {
  /** Every layer of before at its path with its weights; padding and subsampling layers are new, at the end of `layers`. */
  readonly graph: LayerGraph;
  /** The caller's `kept`, in its order, in the new graph. */
  readonly kept: readonly TensorRef[];
}

/**
 * The stride rule. A strided 1x1 convolution or pool reads only every s-th position: what nobody else reads of its input need not
 * be computed. The stride moves up through calls that work on each position alone, into the layers above that can run at a
 * larger stride with the same padding arithmetic; where a branch has none, a pool of size 1 takes every s-th position of it.
 * The graph itself where no convolution, Dense or pool would compute less.
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

/** A mask has positions too, and no layer that thins them. */
function startsMask(layer: GraphLayer): boolean {
  return layer.className === "Masking" || layer.config["mask_zero"] === true;
}

/** The new graph as it grows; nodes refer to each other by the old graph's indices and by new ones past them. */
interface Draft {
  readonly nodes: GraphNode[];
  readonly layers: Map<string, GraphLayer>;
  readonly outputs: Map<number, GraphNode["outputs"]>;
  /** Subsampled tensors, by tensor and steps. */
  readonly subsampled: Map<string, TensorRef>;
  nextIndex: number;
}

function draftOf({ graph, layers }: StrideAnalysis): Draft {
  return {
    nodes: [],
    layers: new Map(layers),
    outputs: new Map(),
    subsampled: new Map(),
    nextIndex: graph.nodes.length,
  };
}

function appendThinned(draft: Draft, { graph, crossings, given }: StrideAnalysis, node: GraphNode): void {
  const crossing = crossings[node.index]!;
  const output = given.get(refKey({ node: node.index, output: 0 }));
  const input = node.inputs[0];
  const inputSteps = input && given.get(refKey(input));
  if (crossing.kind === "window" && input && (output || inputSteps)) {
    const layer = draft.layers.get(node.layer)!;
    const strides = stridesLeft(crossing.window, output, inputSteps);
    const changed = restrided(layer, crossing.window, shapeAt(graph, input)!, strides)!;
    draft.layers.set(layer.path, { ...layer, config: changed.config });
    const source = changed.margins ? insertPadding(draft, layer, changed.margins, input) : input;
    append(
      draft,
      withReads(node, () => source),
    );
  } else if (crossing.kind === "pass" && output) {
    const sources = new Map(
      node.inputs.map((ref) => {
        const shape = shapeAt(graph, ref)!;
        const before = given.get(refKey(ref));
        const steps = output.map((step, axis) => (shape[axis] === 1 ? 1 : step / (before?.[axis] ?? 1)));
        const producer = draft.layers.get(graph.nodes[ref.node]!.layer)!;
        return [refKey(ref), isThin(steps) ? subsampledOf(draft, producer, ref, steps) : ref] as const;
      }),
    );
    append(
      draft,
      withReads(node, (ref) => sources.get(refKey(ref))!),
    );
  } else {
    append(draft, node);
  }
}

/** What is left to do for a window whose input is thin already and whose output shall be. */
function stridesLeft(window: LayerWindow, output: Steps | undefined, input: Steps | undefined): number[] {
  return window.axes.map((axis, at) => (window.strides[at]! * (output?.[axis] ?? 1)) / (input?.[axis] ?? 1));
}

function append(draft: Draft, node: GraphNode): void {
  const outputs = outputSpecs(draft.layers.get(node.layer)!, {
    inputs: node.inputs.map((ref) => draft.outputs.get(ref.node)![ref.output]!),
    args: node.args,
    kwargs: node.kwargs,
    outputsRead: node.outputs.length,
  });
  draft.outputs.set(node.index, outputs);
  draft.nodes.push({ ...node, outputs });
}

/** A pool of size 1 takes every s-th position, exactly. */
function subsampledOf(draft: Draft, producer: GraphLayer, ref: TensorRef, steps: Steps): TensorRef {
  const key = `${refKey(ref)} ${steps.join()}`;
  const found = draft.subsampled.get(key);
  if (found) return found;
  const format = spatialDataFormat(stridedAxes(steps), steps.length)!;
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
  const config = {
    padding: margins.length === 1 ? margins[0]! : margins,
    data_format: layer.config["data_format"] ?? "channels_last",
  };
  return insert(draft, layer, "padding", `ZeroPadding${margins.length}D`, config, ref);
}

/** A call of a new layer named after one that is there. */
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
