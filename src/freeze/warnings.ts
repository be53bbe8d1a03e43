import { optionSetTo } from "../options.ts";
import { packageWarnings } from "../topology/dialects/package-layers.ts";
import type { GraphLayer, LayerGraph } from "../topology/layer-graph.ts";
import { layerLookup, tensorAt } from "../topology/layer-graph.ts";
import { isRandomLayer } from "../topology/layer-specs.ts";
import type { Stages } from "../topology/stages.ts";
import { parameterCount, weightSpecsOf } from "../topology/weights-of.ts";
import type { BlockCut } from "./cut.ts";
import { blockCut } from "./cut.ts";
import type { NameMatch } from "./names.ts";
import { isBoundedPrefix } from "./names.ts";
import type { Partition } from "./partition.ts";
import { partition } from "./partition.ts";
import type { FreezePolicy, FrozenSet } from "./policy.ts";
import { formatPolicy, policyOf } from "./policy.ts";
import { drawingNodes } from "./view-layers.ts";

/** A resolution with everything that a warning about it needs. */
interface Resolved {
  readonly graph: LayerGraph;
  readonly stages: Stages;
  readonly set: FrozenSet;
  readonly matches: readonly {
    readonly policy: FreezePolicy;
    readonly pattern: string;
    readonly match: NameMatch;
  }[];
  readonly cut: { readonly policy: FreezePolicy; readonly position: number } | null;
  /** True if the random image layers that the model begins with draw views. */
  readonly views: boolean;
}

/**
 * Returns warnings that a user should read before training: about names with a second meaning, policies without effect,
 * cuts inside a block, silenced random layers, modes that disable the cache, and layers of packages.
 */
export function freezeWarnings(resolved: Resolved): string[] {
  const { graph, set, matches } = resolved;
  const parts = partition(graph, set);
  return [
    ...matches.flatMap((match) => ambiguityWarnings(graph, match)),
    ...effectWarnings(resolved),
    ...cutWarnings(resolved, parts),
    ...randomWarnings(resolved, parts),
    ...modeWarnings(graph, set, parts),
    ...packageWarnings(graph),
  ];
}

/** Warns of a name that is in several nested models, or that is a layer's name and the prefix of others. */
function ambiguityWarnings(
  graph: LayerGraph,
  { policy, pattern, match }: Resolved["matches"][number],
): string[] {
  const flag = policyOf(policy.kind, pattern);
  const places = new Set(match.layers.map(({ path }) => path.slice(0, path.indexOf(pattern))));
  const holders = new Set(match.layers.map((layer) => layer.containers.join()));
  // A model inside others, `transformer_block_2`, is one place.
  if (match.rule === "name" && holders.size > 1 && places.size > 1) {
    return [
      `${flag} matches ${listed(match.layers.map((layer) => layer.path))}. Write the whole path to select one of them.`,
    ];
  }
  if (match.rule !== "path" && match.rule !== "name") return [];
  const taken = new Set(match.layers.map((layer) => layer.path));
  if (match.layers.some((layer) => layer.path !== pattern && layer.name !== pattern)) return [];
  const others = graph.layers.filter(
    (layer) =>
      !taken.has(layer.path) &&
      (isBoundedPrefix(pattern, layer.name) || isBoundedPrefix(pattern, layer.path)),
  );
  const weighted = weightSpecsOf(graph);
  const [first] = match.layers;
  const last = Math.max(...match.layers.map((layer) => layer.index));
  const differs = others.some(({ path, index }) => {
    if (!weighted.has(path)) return false;
    if (policy.kind === "until") return index < first.index;
    return policy.kind === "through" ? index > last : true;
  });
  if (!differs) return [];
  return [
    `${flag} matches only the layer ${first.path}, not ${listed(others.map((layer) => layer.path))}. Write "${pattern}*" to match all of them.`,
  ];
}

/** Warns of policies that freeze or train no parameters, or that the BatchNormalization mode overrides. */
function effectWarnings({ graph, matches, cut, set }: Resolved): string[] {
  const specs = weightSpecsOf(graph);
  const parameters = (layers: readonly GraphLayer[]): number =>
    parameterCount(layers.map(({ path }) => (specs.get(path) ?? []).filter((spec) => spec.trainable)));
  const warnings: string[] = [];
  const wantsCut = cut && !(cut.policy.kind === "depth" && cut.policy.n === 0);
  if (wantsCut && parameters(graph.layers.slice(0, cut.position)) === 0) {
    const before = graph.layers.slice(0, cut.position).filter((layer) => layer.className !== "InputLayer");
    const reason = before.length === 0 ? "it is the first layer" : "no layer before it has any";
    warnings.push(`${formatPolicy(cut.policy)} freezes 0 parameters (${reason}).`);
  }
  for (const { policy, pattern, match } of matches) {
    if (policy.kind !== "freeze" && policy.kind !== "unfreeze") continue;
    if (parameters(match.layers) > 0) continue;
    const verb = policy.kind === "freeze" ? "freezes" : "trains";
    const layers =
      match.layers.length === 1
        ? "the layer it matches has"
        : `the ${match.layers.length} layers it matches have`;
    warnings.push(`${policyOf(policy.kind, pattern)} ${verb} 0 parameters (${layers} no trainable weights).`);
  }
  for (const { policy, pattern, match } of matches) {
    if (policy.kind !== "unfreeze" || set.bnMode !== "freeze") continue;
    const norms = match.layers.filter(
      (layer) => layer.className === "BatchNormalization" && !set.newLayers.has(layer.path),
    );
    if (norms.length === match.layers.length) {
      warnings.push(
        `${policyOf("unfreeze", pattern)} has no effect: ${optionSetTo("bnMode", "freeze")} freezes all pretrained BatchNormalization layers.`,
      );
    }
  }
  return warnings;
}

/** Warns of a cut inside a block that more than one tensor crosses. */
function cutWarnings({ graph, stages, cut }: Resolved, parts: Partition): string[] {
  if (!cut) return [];
  const kind = cut.policy.kind === "through" ? "through" : "until";
  const found = blockCut(graph, stages, cut.position, kind);
  const inputs = new Set(graph.inputs.map((input) => input.ref.node));
  // Whole numbers are ids and masks, which go around every block.
  const frontier = parts.frontier.filter(
    (ref) => !inputs.has(ref.node) && tensorAt(graph, ref).dtype === "float32",
  );
  if (!found || frontier.length < 2) return [];
  return [`${blockText(found)} Frontier = ${frontier.length} tensors.${alternativesText(found, cut.policy)}`];
}

function blockText({ layer, block, name, residual, others }: BlockCut): string {
  const noun = residual ? "residual block" : "block";
  const what =
    name === null ? `the ${noun} from ${block[0]?.path} to ${block.at(-1)?.path}` : `${noun} ${name}`;
  const [other] = others;
  if (!other) return `${layer} cuts ${what}.`;
  const branch = other.shorter ? "shortcut" : "other branch";
  const where = other.inside
    ? `its ${branch} ${other.path} is on the other side.`
    : `its ${branch} from ${other.path} goes around the cut.`;
  return `${layer} cuts ${what}: ${where}`;
}

function alternativesText({ alternatives }: BlockCut, policy: FreezePolicy): string {
  if (alternatives.length === 0) return "";
  const places = policy.kind === "depth" ? alternatives.map((name) => policyOf("until", name)) : alternatives;
  return ` Use ${places.join(" or ")} to cut between blocks.`;
}

/** Warns of random layers in the static part, which do not draw in training. */
function randomWarnings({ graph, set, views }: Resolved, parts: Partition): string[] {
  const layerOf = layerLookup(graph);
  const drawing = views ? drawingNodes(graph) : new Set<number>();
  const silent = graph.nodes.filter(
    (node) =>
      parts.sides[node.index] === "static" && isRandomLayer(layerOf(node.layer)) && !drawing.has(node.index),
  );
  const layers = [...new Set(silent.map((node) => node.layer))].map(layerOf);
  const isAugmentation = (layer: GraphLayer): boolean => layer.className.startsWith("Random");
  const augmentations = layers.filter(isAugmentation).map((layer) => layer.path);
  const others = layers.filter((layer) => !isAugmentation(layer)).map((layer) => layer.path);
  const one = (names: readonly string[]): boolean => names.length === 1;
  const warnings: string[] = [];
  if (augmentations.length > 0) {
    warnings.push(
      `${listed(augmentations)}: ${one(augmentations) ? "stands" : "stand"} before frozen layers and therefore ${one(augmentations) ? "does" : "do"} not augment images in training. To augment, ask for views (${optionSetTo("views", 4)}), or freeze nothing after ${one(augmentations) ? "it" : "them"}.`,
    );
  }
  if (set.bnMode === "follow" && others.length > 0) {
    warnings.push(
      `${listed(others)}: ${one(others) ? "is" : "are"} in the frozen part and therefore inactive in training; Keras keeps ${one(others) ? "it" : "them"} active if only trainable=False is set.`,
    );
  }
  return warnings;
}

/** Warns that batch statistics in frozen layers leave nothing to cache. */
function modeWarnings(graph: LayerGraph, set: FrozenSet, parts: Partition): string[] {
  const freezes = graph.layers.some((layer) => set.frozen.has(layer.path));
  if (set.bnMode !== "train" || !freezes || parts.batchStatistics.size === 0) return [];
  return [
    `${optionSetTo("bnMode", "train")} changes frozen activations every step; the prefix cache is disabled.`,
  ];
}

/** Joins names, three at most: `a, b, c and 4 more`. */
function listed(names: readonly string[]): string {
  const shown = names.slice(0, 3).join(", ");
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown;
}
