import type { GraphLayer, LayerGraph } from "../topology/layer-graph.ts";
import { layerAt } from "../topology/layer-graph.ts";
import { isRandomLayer } from "../topology/layer-specs.ts";
import type { Stages } from "../topology/stages.ts";
import { parameterCount, weightSpecsOf } from "../topology/weights-of.ts";
import type { BlockCut } from "./cut.ts";
import { blockCut } from "./cut.ts";
import { isBoundedPrefix } from "./names.ts";
import type { Partition } from "./partition.ts";
import { partition } from "./partition.ts";
import type { FreezePolicy, FrozenSet } from "./policy.ts";
import { formatPolicy } from "./policy.ts";

interface Question {
  readonly graph: LayerGraph;
  readonly stages: Stages;
  readonly set: FrozenSet;
  readonly matches: readonly {
    readonly policy: FreezePolicy;
    readonly pattern: string;
    readonly match: { readonly rule: string; readonly layers: readonly GraphLayer[] };
  }[];
  readonly cut: { readonly policy: FreezePolicy; readonly position: number } | null;
}

/** What a user should know before training: names with a second meaning, flags without effect, cuts inside a block, … */
export function freezeWarnings(question: Question): string[] {
  const parts = partition(question.graph, question.set);
  return [
    ...question.matches.flatMap((match) => ambiguity(question.graph, match)),
    ...withoutEffect(question),
    ...cutWarnings(question, parts),
    ...randomWarnings(question.graph, question.set, parts),
    ...modeWarnings(question.graph, question.set, parts),
  ];
}

function ambiguity(graph: LayerGraph, { policy, pattern, match }: Question["matches"][number]): string[] {
  const flag = `${formatPolicy({ ...policy, patterns: [] } as FreezePolicy).trimEnd()} "${pattern}"`;
  if (match.rule === "name" && new Set(match.layers.map((layer) => layer.containers.join())).size > 1) {
    return [
      `${flag} matches ${listed(match.layers.map((layer) => layer.path))}. Write the path to mean one of them.`,
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
  const first = match.layers[0]!.index;
  const last = match.layers.at(-1)!.index;
  const differs = others.some(({ path, index }) => {
    if (!weighted.has(path)) return false;
    if (policy.kind === "until") return index < first;
    return policy.kind === "through" ? index > last : true;
  });
  if (!differs) return [];
  return [
    `${flag} means the layer ${match.layers[0]!.path} alone, not ${listed(others.map((layer) => layer.path))}. Write "${pattern}*" to mean all.`,
  ];
}

function withoutEffect({ graph, matches, cut, set }: Question): string[] {
  const specs = weightSpecsOf(graph);
  const parameters = (layers: readonly GraphLayer[]): number =>
    parameterCount(layers.map(({ path }) => (specs.get(path) ?? []).filter((spec) => spec.trainable)));
  const warnings: string[] = [];
  const wantsCut = cut && !(cut.policy.kind === "depth" && cut.policy.n === 0);
  if (wantsCut && parameters(graph.layers.slice(0, cut.position)) === 0) {
    const before = graph.layers.slice(0, cut.position).filter((layer) => layer.className !== "InputLayer");
    const reason = before.length === 0 ? "it is the first layer" : "no layer before it has any";
    warnings.push(`${quoted(cut.policy)} freezes 0 parameters (${reason}).`);
  }
  for (const { policy, pattern, match } of matches) {
    if (policy.kind !== "freeze" && policy.kind !== "unfreeze") continue;
    if (parameters(match.layers) > 0) continue;
    const verb = policy.kind === "freeze" ? "freezes" : "trains";
    const layers = match.layers.length === 1 ? "its layer has" : `its ${match.layers.length} layers have`;
    warnings.push(`--${policy.kind} "${pattern}" ${verb} 0 parameters (${layers} none that can train).`);
  }
  for (const { policy, pattern, match } of matches) {
    if (policy.kind !== "unfreeze" || set.bnMode !== "freeze") continue;
    const norms = match.layers.filter(
      (layer) => layer.className === "BatchNormalization" && !set.newLayers.has(layer.path),
    );
    if (norms.length === match.layers.length) {
      warnings.push(
        `--unfreeze "${pattern}" has no effect: --bn-mode freeze keeps all BatchNormalization fixed.`,
      );
    }
  }
  return warnings;
}

/** `--freeze-until "conv4"` */
function quoted(policy: FreezePolicy): string {
  if (!("patterns" in policy)) return formatPolicy(policy);
  return `--freeze-${policy.kind} "${policy.patterns.join(",")}"`;
}

function cutWarnings({ graph, stages, cut }: Question, parts: Partition): string[] {
  if (!cut) return [];
  const kind = cut.policy.kind === "through" ? "through" : "until";
  const found = blockCut(graph, stages, cut.position, kind);
  const inputs = new Set(graph.inputs.map((input) => input.ref.node));
  const frontier = parts.frontier.filter((ref) => !inputs.has(ref.node));
  if (!found || frontier.length < 2) return [];
  return [`${blockText(found)} Frontier = ${frontier.length} tensors.${wayOutText(found, cut.policy)}`];
}

function blockText({ layer, block, name, residual, others }: BlockCut): string {
  const noun = residual ? "residual block" : "block";
  const what =
    name === null ? `the ${noun} from ${block[0]!.path} to ${block.at(-1)!.path}` : `${noun} ${name}`;
  const [other] = others;
  if (!other) return `${layer} cuts ${what}.`;
  const branch = other.shorter ? "shortcut" : "other branch";
  const where = other.inside
    ? `its ${branch} ${other.path} is on the other side.`
    : `its ${branch} from ${other.path} goes around the cut.`;
  return `${layer} cuts ${what}: ${where}`;
}

function wayOutText({ wayOut }: BlockCut, policy: FreezePolicy): string {
  if (wayOut.length === 0) return "";
  const flag = policy.kind === "depth" ? "--freeze-until " : "";
  return ` Use ${flag}${wayOut.join(" or ")} to cut between blocks.`;
}

function randomWarnings(graph: LayerGraph, set: FrozenSet, parts: Partition): string[] {
  const silent = graph.nodes.filter(
    (node) => parts.sides[node.index] === "static" && isRandomLayer(layerAt(graph, node.layer)),
  );
  const layers = [...new Set(silent.map((node) => node.layer))].map((path) => layerAt(graph, path));
  const isAugmentation = (layer: GraphLayer): boolean => layer.className.startsWith("Random");
  const augmentations = layers.filter(isAugmentation).map((layer) => layer.path);
  const others = layers.filter((layer) => !isAugmentation(layer)).map((layer) => layer.path);
  const one = (names: readonly string[]): boolean => names.length === 1;
  const warnings: string[] = [];
  if (augmentations.length > 0) {
    warnings.push(
      `${listed(augmentations)}: before frozen layers, so ${one(augmentations) ? "it does" : "they do"} not change the pictures in training. Freeze nothing behind ${one(augmentations) ? "it" : "them"} to augment.`,
    );
  }
  if (set.bnMode === "follow" && others.length > 0) {
    warnings.push(
      `${listed(others)}: in the frozen part, so ${one(others) ? "it drops" : "they drop"} nothing in training; with trainable=False alone Keras keeps ${one(others) ? "it" : "them"} active.`,
    );
  }
  return warnings;
}

function modeWarnings(graph: LayerGraph, set: FrozenSet, parts: Partition): string[] {
  const freezes = graph.layers.some((layer) => set.frozen.has(layer.path));
  if (set.bnMode !== "train" || !freezes || parts.batchStatistics.size === 0) return [];
  return ["--bn-mode train changes frozen activations every step; the prefix cache is disabled."];
}

/** `a, b, c and 4 more` */
function listed(names: readonly string[]): string {
  const shown = names.slice(0, 3).join(", ");
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown;
}
