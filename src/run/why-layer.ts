import type { BatchNormMode, Checkpoint } from "../checkpoint.ts";
import { UsageError } from "../errors.ts";
import type { CutModel } from "../features/cut.ts";
import { cutCheckpoint } from "../features/cut.ts";
import type { InferenceForm } from "../features/inference-forms.ts";
import { inferenceForms } from "../features/inference-forms.ts";
import { resolveName } from "../freeze/names.ts";
import type { FreezePolicy } from "../freeze/policy.ts";
import type { FreezeRule } from "../freeze/rules.ts";
import { nearestNames } from "../freeze/suggestions.ts";
import { hasMovingStatistics } from "../freeze/trainable-weights.ts";
import { isObject } from "../topology/config-values.ts";
import { editLayers } from "../topology/edit-config.ts";
import type { GraphLayer, LayerGraph } from "../topology/layer-graph.ts";
import { lossInputs, nodeAt, refKey } from "../topology/layer-graph.ts";
import { everyRead } from "../topology/rewrites/graph-edges.ts";
import { stagesOf } from "../topology/stages.ts";
import { parameterCount, weightSpecsOf } from "../topology/weights-of.ts";
import { resolveSome } from "./settings.ts";

/** Options of {@link whyLayer}: those that decide what is frozen. */
export interface WhyOptions {
  readonly freeze?: FreezePolicy | readonly FreezePolicy[] | undefined;
  readonly bnMode?: BatchNormMode | undefined;
}

/** A rule that applied to a layer, with what made it apply. */
export interface AppliedRule extends FreezeRule {
  /** Reason why it applies: `layer 80 is before conv4_block1_1_conv (81)`. */
  readonly detail: string;
}

/** Everything that decides how a layer takes part in training. */
export interface LayerReason {
  readonly path: string;
  readonly className: string;
  /** Name of its stage, null if it belongs to none. */
  readonly stage: string | null;
  readonly parameters: number;
  readonly frozen: boolean;
  /** Names of its weights that receive gradients. */
  readonly trains: readonly string[];
  /** Rules in the order of their application; the last decides. */
  readonly rules: readonly AppliedRule[];
  /** `static`: it runs once per sample. `dynamic`: it runs in every step. `both`: a shared layer with calls on both sides. */
  readonly side: "static" | "dynamic" | "both";
  /** Fate of a static layer where features are computed; null for a dynamic one. */
  readonly inference: InferenceForm | null;
  /** True if its output is a tensor of the frontier, which is cached. */
  readonly isFrontier: boolean;
  /** Tensors of the frontier that a dynamic layer is computed from, by the layers that give them. */
  readonly frontier: readonly string[];
  readonly gradient: {
    /** True if the gradient passes through the layer, to weights before it. */
    readonly passes: boolean;
    /** Paths of the layers before it whose weights need that gradient. */
    readonly neededBy: readonly string[];
  };
  /** Normalization in a training step; null for a layer without moving statistics. */
  readonly normalization: {
    readonly mode: BatchNormMode;
    readonly statistics: "stored" | "batch";
    readonly updatesStatistics: boolean;
  } | null;
}

/**
 * Says for each layer that `name` matches which rule froze or freed it, whether a gradient passes through it and for which weights, which
 * tensors of the frontier feed it, what becomes of it where features are computed, and which statistics it normalizes with. Names match
 * as in freeze policies. Folding is told where the checkpoint was read with its weights' values.
 * @throws {UsageError} if the name, or one of a policy, matches nothing, or if everything is frozen.
 * @example
 * ```ts
 * const model = await readCheckpoint("resnet50.h5");
 * const [reason] = whyLayer(model, "conv4_block1_1_bn", { freeze: freezeUntil("conv5") });
 * console.log(reason?.rules.at(-1)?.text, reason?.side, reason?.gradient.passes);
 * ```
 */
export function whyLayer(
  checkpoint: Checkpoint,
  name: string,
  options: WhyOptions = {},
): readonly LayerReason[] {
  const { freeze, bnMode } = resolveSome(["freeze", "bnMode"], options);
  const frozenModel = cutCheckpoint(checkpoint, { freeze: freeze === "auto" ? undefined : freeze, bnMode });
  const { model, cut } = frozenModel;
  const layers = matchedLayers(model, name);
  const flags = trainableFlagsOf(checkpoint);
  const specs = weightSpecsOf(model);
  const stages = stagesOf(model);
  const flows = flowsOf(cut);
  const forms = inferenceForms(cut, checkpoint.weights);
  return layers.map((layer): LayerReason => {
    const { path, className } = layer;
    const own = specs.get(path) ?? [];
    const { sides, trainableWeights, batchStatistics } = cut.partition;
    const calls = cut.graph.nodes.filter((node) => node.layer === path);
    const sidesOfCalls = new Set(calls.map((node) => sides[node.index] ?? "dynamic"));
    const [side = "static"] = sidesOfCalls;
    const unite = (of: readonly ReadonlySet<string>[]): string[] => [
      ...new Set(calls.flatMap((node) => [...(of[node.index] ?? [])])),
    ];
    const neededBy = unite(flows.trainedBefore);
    const reachesLoss = calls.some((node) => flows.toLoss.has(node.index));
    const frontier = frontierLayers(cut);
    return {
      path,
      className,
      stage: stages.labelOf(path),
      parameters: parameterCount([own]),
      frozen: frozenModel.resolution.frozen.has(path),
      trains: reachesLoss ? (trainableWeights.get(path) ?? []) : [],
      rules: (frozenModel.resolution.rules.get(path) ?? []).map((rule) => ({
        ...rule,
        detail: detailOf(rule, layer, model, flags),
      })),
      side: sidesOfCalls.size > 1 ? "both" : side,
      inference: side === "static" ? (forms(path) ?? null) : null,
      isFrontier: calls.some((node) =>
        node.outputs.some((_, output) => frontier.has(refKey({ node: node.index, output }))),
      ),
      frontier: side === "dynamic" || sidesOfCalls.size > 1 ? unite(flows.frontierBefore) : [],
      gradient: { passes: reachesLoss && neededBy.length > 0, neededBy: reachesLoss ? neededBy : [] },
      normalization: hasMovingStatistics(own)
        ? {
            mode: bnMode,
            statistics: batchStatistics.has(path) ? "batch" : "stored",
            updatesStatistics: batchStatistics.has(path),
          }
        : null,
    };
  });
}

function matchedLayers(model: LayerGraph, name: string): readonly GraphLayer[] {
  const stages = stagesOf(model);
  const match = resolveName(model, stages, name);
  if (match) return match.layers;
  const names = [...stages.labels, ...model.layers.flatMap(({ path, name: own }) => [path, own])];
  const near = nearestNames(name, names, 3);
  throw new UsageError(
    `${name}: no layer matches.${near.length > 0 ? ` Did you mean ${near.join(", ")}?` : ""} 'inspect' lists all ${model.layers.length} layers.`,
    "layer-no-match",
    "layer",
  );
}

/** Gradients and features that the calls of a cut model have, by the index of the call. */
interface Flows {
  /** Paths of the layers before a call, without its own, whose weights receive gradients. */
  readonly trainedBefore: readonly ReadonlySet<string>[];
  /** Names of the frontier's tensors that a call is computed from. */
  readonly frontierBefore: readonly ReadonlySet<string>[];
  /** Indices of the calls that lead to the loss. */
  readonly toLoss: ReadonlySet<number>;
}

function flowsOf(cut: CutModel): Flows {
  const { graph, partition } = cut;
  const frontier = frontierLayers(cut);
  const trainedBefore: Set<string>[] = [];
  const frontierBefore: Set<string>[] = [];
  for (const node of graph.nodes) {
    const [trained, fed] = [new Set<string>(), new Set<string>()];
    for (const ref of everyRead(node)) {
      const source = nodeAt(graph, ref.node);
      const name = frontier.get(refKey(ref));
      if (partition.sides[ref.node] === "static") {
        if (name !== undefined) fed.add(name);
        continue;
      }
      for (const path of trainedBefore[ref.node] ?? []) trained.add(path);
      if (partition.trainableWeights.has(source.layer)) trained.add(source.layer);
      for (const tensor of frontierBefore[ref.node] ?? []) fed.add(tensor);
    }
    trainedBefore.push(trained);
    frontierBefore.push(fed);
  }
  const toLoss = new Set(lossInputs(graph).map(({ node }) => node));
  for (const node of graph.nodes.toReversed()) {
    if (toLoss.has(node.index)) for (const ref of everyRead(node)) toLoss.add(ref.node);
  }
  return { trainedBefore, frontierBefore, toLoss };
}

/** Returns the names of the frontier's tensors, by their keys. */
function frontierLayers({ graph, partition }: CutModel): ReadonlyMap<string, string> {
  return new Map(
    partition.frontier.map((ref) => {
      const { layer } = nodeAt(graph, ref.node);
      return [refKey(ref), ref.output === 0 ? layer : `${layer}:${ref.output}`];
    }),
  );
}

/** Returns the `trainable` flags in the config, by the paths of layers and nested models; the model's own by the empty path. */
function trainableFlagsOf({ modelConfig }: Checkpoint): ReadonlyMap<string, boolean> {
  const flags = new Map<string, boolean>();
  const note = ({ path, json }: { readonly path: string; readonly json: Checkpoint["modelConfig"] }) => {
    const config = json["config"];
    const flag = isObject(config) ? config["trainable"] : undefined;
    if (typeof flag === "boolean") flags.set(path, flag);
    return json;
  };
  note({ path: "", json: modelConfig });
  editLayers(modelConfig, note, note);
  return flags;
}

const matchWords: Readonly<Record<NonNullable<FreezeRule["match"]>, string>> = {
  path: "a path",
  name: "a name",
  prefix: "the beginning of names",
  stage: "a stage",
  glob: "a glob",
  regex: "a regular expression",
};

function detailOf(
  rule: FreezeRule,
  layer: GraphLayer,
  model: LayerGraph,
  flags: ReadonlyMap<string, boolean>,
): string {
  const { path, index, containers, className } = layer;
  if (rule.kind === "bn-mode")
    return `the mode decides for every pretrained layer with moving statistics, as this ${className}`;
  if (rule.kind === "start") {
    if (rule.text !== "the flags in the file") return rule.freezes ? "it is not of the head" : "by default";
    const closed = ["", ...containers, path].find((each) => flags.get(each) === false);
    if (closed === undefined) return "no flag of it or around it is false";
    if (closed === path) return "its own trainable is false";
    return `trainable is false for ${closed === "" ? "the whole model" : closed}, which contains it`;
  }
  if (rule.kind === "position") {
    const { cut } = rule;
    if (cut === undefined) return rule.freezes ? "it is not of the head" : "it is of the head";
    const first = model.layers[cut];
    const place = first ? `${first.path} (#${cut})` : "the end";
    const where = index < cut ? `before ${place}` : `from ${place} on`;
    const by = rule.match ? `, which "${rule.pattern}" set by ${matchWords[rule.match]}` : "";
    return `it is layer #${index}, ${where}${by}`;
  }
  const inner = containers.find((each) => each === rule.pattern || each.endsWith(`/${rule.pattern}`));
  if (inner !== undefined) return `the pattern is the name of ${inner}, which contains it`;
  return `the pattern matches ${rule.match ? matchWords[rule.match] : "it"}`;
}
