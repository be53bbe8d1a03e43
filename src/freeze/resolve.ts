import type { BatchNormMode } from "../checkpoint.ts";
import { UsageError } from "../errors.ts";
import { optionName, optionSetTo } from "../options.ts";
import { headsOf } from "../topology/head-of.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";
import type { Stages } from "../topology/stages.ts";
import { stagesOf } from "../topology/stages.ts";
import { parameterCount, weightSpecsOf } from "../topology/weights-of.ts";
import { depthPosition } from "./depth.ts";
import type { NameMatch } from "./names.ts";
import { resolveName } from "./names.ts";
import type { FreezePolicy, FreezeResolution, FrozenSet } from "./policy.ts";
import { argumentOf, formatPolicy, policyOf } from "./policy.ts";
import type { Decisions } from "./rules.ts";
import { decide, lastRules } from "./rules.ts";
import { nearestNames } from "./suggestions.ts";
import { hasMovingStatistics, trainableWeights } from "./trainable-weights.ts";
import { freezeWarnings } from "./warnings.ts";

/** Options of {@link resolveFreeze}. */
export interface FreezeOptions {
  /** BatchNormalization mode. Defaults to `"inference"`. */
  readonly bnMode?: BatchNormMode;
  /** Paths of the layers that this run or an earlier one added, which are not pretrained. */
  readonly newLayers?: readonly string[];
  /**
   * True if this run made the head; all other layers are then frozen by default. Defaults to true if `newLayers` has
   * any.
   */
  readonly headIsNew?: boolean;
  /** True if the random image layers that the model begins with draw views. Defaults to false. */
  readonly views?: boolean;
}

/**
 * Determines which layers are frozen. Whatever the order of `policies`, they apply in this order: the start, one
 * position policy, every `freeze`, every `unfreeze`, the BatchNormalization mode. The start freezes nothing for `[]`;
 * for undefined it freezes all layers but a new head, or follows the `trainable` flags in the file if the head is not
 * new.
 * @throws {UsageError} if a name matches nothing, if two positions are given, if a depth is out of range, or if nothing
 * is left to train.
 */
export function resolveFreeze(
  graph: LayerGraph,
  policies: FreezePolicy | readonly FreezePolicy[] | undefined,
  options: FreezeOptions = {},
): FreezeResolution {
  const list = policies === undefined ? undefined : asList(policies);
  const naming: Naming = { graph, stages: stagesOf(graph) };
  const decided: Decisions = { frozen: new Set(), rules: new Map() };
  const position = onePosition(list ?? []);
  const cut = position ? cutOf(naming, position) : null;
  if (position) applyPosition(decided, naming, position, cut, options.newLayers ?? []);
  else applyStart(decided, graph, list, options);
  const matches: Matched[] = [];
  for (const kind of ["freeze", "unfreeze"] as const) {
    for (const policy of list ?? []) {
      if (policy.kind !== kind || policy === position) continue;
      for (const pattern of policy.patterns) {
        const match = requireMatch(naming, kind, pattern);
        matches.push({ policy, pattern, match });
        const text = policyOf(kind, pattern);
        for (const { path } of match.layers)
          decide(decided, path, { kind, text, freezes: kind === "freeze", pattern, match: match.rule });
      }
    }
  }
  const bnMode = options.bnMode ?? "inference";
  applyMode(decided, graph, bnMode, options.newLayers ?? []);
  const set: FrozenSet = {
    frozen: decided.frozen,
    bnMode,
    newLayers: new Set(options.newLayers ?? []),
  };
  refuseAllFrozen(graph, set, list !== undefined && list.length > 0);
  const positions = matches.concat(
    position && cut?.match ? [{ policy: position, pattern: patternOf(position), match: cut.match }] : [],
  );
  return {
    ...set,
    rules: decided.rules,
    why: lastRules(decided),
    summary: summaryOf(graph, list, decided),
    warnings: freezeWarnings({
      ...naming,
      set,
      matches: positions,
      cut,
      views: options.views ?? false,
    }),
  };
}

/** A pattern of a policy and the layers that it matches. */
export interface Matched {
  readonly policy: FreezePolicy;
  readonly pattern: string;
  readonly match: NameMatch;
}

/** The names by which layers can be meant. */
interface Naming {
  readonly graph: LayerGraph;
  readonly stages: Stages;
}

/** A position policy with the place where it cuts. */
interface Cut {
  readonly policy: FreezePolicy;
  /** Position in `graph.layers` of the first layer after the cut. */
  readonly position: number;
  readonly match?: NameMatch;
}

function asList(policies: FreezePolicy | readonly FreezePolicy[]): readonly FreezePolicy[] {
  return "kind" in policies ? [policies] : policies;
}

/** Returns the one position policy of the list, if any. @throws {UsageError} if there are several. */
function onePosition(list: readonly FreezePolicy[]): FreezePolicy | undefined {
  const positions = list.filter((policy) => !/^(?:un)?freeze$/u.test(policy.kind) || isNone(policy));
  if (positions.length <= 1) return positions[0];
  throw new UsageError(
    `${positions.map(formatPolicy).join(" and ")}: expected one position to cut at, got ${positions.length}. Keep one of them; ${policyOf("freeze")} and ${policyOf("unfreeze")} can be added to it.`,
    "freeze-positions",
    "freeze",
  );
}

/** Returns whether the policy is `--freeze none`, which trains everything and counts as a position. */
function isNone(policy: FreezePolicy): boolean {
  return policy.kind === "freeze" && policy.patterns.length === 1 && policy.patterns[0] === "none";
}

function patternOf(policy: FreezePolicy): string {
  return "patterns" in policy ? policy.patterns.join(",") : "";
}

/** Finds the place where a position policy cuts the list of layers, null for a policy that does not. */
function cutOf(naming: Naming, policy: FreezePolicy): Cut | null {
  switch (policy.kind) {
    case "until":
    case "through": {
      const matches = policy.patterns.map((pattern) => requireMatch(naming, policy.kind, pattern));
      const positions = matches.flatMap((match) => match.layers.map((layer) => layer.index));
      const position = policy.kind === "until" ? Math.min(...positions) : Math.max(...positions) + 1;
      const [match] = matches;
      return { policy, position, ...(match && { match }) };
    }
    case "depth":
      return { policy, position: depthPosition(naming.graph, policy.n, policy.container) };
    case "freeze":
    case "unfreeze":
    case "all-but-head":
      return null;
  }
}

function applyPosition(
  decided: Decisions,
  { graph }: Naming,
  policy: FreezePolicy,
  cut: Cut | null,
  newLayers: readonly string[],
): void {
  const head = policy.kind === "all-but-head" ? headPaths(graph, newLayers) : null;
  const text = formatPolicy(policy);
  for (const { path, index } of graph.layers) {
    decide(decided, path, {
      kind: "position",
      text,
      freezes: head ? !head.has(path) : index < (cut?.position ?? 0),
      ...(cut && { cut: cut.position }),
      ...(cut?.match && { pattern: patternOf(policy), match: cut.match.rule }),
    });
  }
}

function applyStart(
  decided: Decisions,
  graph: LayerGraph,
  list: readonly FreezePolicy[] | undefined,
  options: FreezeOptions,
): void {
  const newLayers = options.newLayers ?? [];
  const nothing = list?.length === 0;
  const head = startsAtHead(options) && !nothing ? headPaths(graph, newLayers) : null;
  const text = nothing ? "nothing is frozen" : head ? "the head is new" : "the flags in the file";
  for (const { path, trainable } of graph.layers) {
    const freezes = !nothing && (head ? !head.has(path) : !trainable);
    decide(decided, path, { kind: "start", text, freezes });
  }
}

/**
 * Applies the modes `freeze` and `train`, which override every policy for pretrained layers with moving statistics.
 */
function applyMode(
  decided: Decisions,
  graph: LayerGraph,
  bnMode: BatchNormMode,
  newLayers: readonly string[],
): void {
  if (bnMode !== "freeze" && bnMode !== "train") return;
  for (const [path, specs] of weightSpecsOf(graph)) {
    if (!hasMovingStatistics(specs) || newLayers.includes(path)) continue;
    const text = optionSetTo("bnMode", bnMode);
    decide(decided, path, { kind: "bn-mode", text, freezes: bnMode === "freeze" });
  }
}

function startsAtHead(options: FreezeOptions): boolean {
  return options.headIsNew ?? (options.newLayers?.length ?? 0) > 0;
}

/**
 * Returns the paths of the new layers, or else of the last layer with weights before each output, and of the layers
 * without weights after them.
 * @throws {UsageError} if several branches merge before an output.
 */
function headPaths(graph: LayerGraph, newLayers: readonly string[]): ReadonlySet<string> {
  const heads = headsOf(graph);
  const tails = heads?.flatMap((head) => head.tail) ?? [];
  if (newLayers.length > 0) return new Set([...newLayers, ...tails]);
  if (heads) return new Set([...heads.map((head) => head.path), ...tails]);
  throw new UsageError(
    `${policyOf("all-but-head")}: expected a single layer with weights before each output of ${graph.name}, got several branches. Use ${policyOf("until")}.`,
    "freeze-no-head",
    "freeze",
  );
}

/** Finds the layers that a pattern matches. @throws {UsageError} with suggestions if there are none. */
function requireMatch({ graph, stages }: Naming, kind: FreezePolicy["kind"], pattern: string): NameMatch {
  const match = resolveName(graph, stages, pattern);
  if (match) return match;
  const containers = graph.layers.flatMap((layer) => layer.containers);
  const names = [...stages.labels, ...containers, ...graph.layers.flatMap(({ name, path }) => [name, path])];
  const near = nearestNames(pattern, names, 2);
  const labels = stages.labels.length > 0 ? ` Stages: ${stages.labels.join(" ")}.` : "";
  const all = /^(none|nothing)$/i.test(pattern) ? ` To train everything: ${policyOf("freeze", "none")}.` : "";
  throw new UsageError(
    `${policyOf(kind, pattern)}: no layer matches.${near.length > 0 ? ` Did you mean ${near.join(", ")}?` : ""}${labels}${all} 'inspect' lists all ${graph.layers.length} layers.`,
    "freeze-no-match",
    "freeze",
  );
}

function refuseAllFrozen(graph: LayerGraph, set: FrozenSet, byPolicy: boolean): void {
  if (trainableWeights(graph, set).size > 0) return;
  const total = parameterCount(weightSpecsOf(graph).values());
  if (total === 0) {
    throw new UsageError(
      `${graph.name}: expected weights to train, got a model without weights.`,
      "freeze-all",
      "freeze",
    );
  }
  const who = byPolicy ? "The policy freezes" : "The flags in the file freeze";
  throw new UsageError(
    `${who} all ${total.toLocaleString("en-US")} parameters; nothing is left to train. Add ${policyOf("unfreeze")} or a new head (${optionName("classes")}).`,
    "freeze-all",
    "freeze",
  );
}

/** Describes the policies, or the default that applied, in one phrase. */
function summaryOf(graph: LayerGraph, list: readonly FreezePolicy[] | undefined, decided: Decisions): string {
  if (list && list.length > 0) {
    const order: readonly FreezePolicy["kind"][] = [
      "until",
      "through",
      "depth",
      "all-but-head",
      "freeze",
      "unfreeze",
    ];
    const sorted = order.flatMap((kind) => list.filter((policy) => policy.kind === kind));
    return sorted.map((policy) => [policy.kind, argumentOf(policy) ?? ""].join(" ").trimEnd()).join(", ");
  }
  const why = lastRules(decided).values().next().value ?? "nothing is frozen";
  if (why !== "the flags in the file") return why;
  return `${why} (${decided.frozen.size} of ${graph.layers.length} layers frozen)`;
}
