/** @file Recipes: phases that are known by a name. */
import type { Checkpoint } from "../checkpoint.ts";
import type { FreezePolicy } from "../freeze/policy.ts";
import { formatPolicy, freezeAllButHead, freezeUntil } from "../freeze/policy.ts";
import { resolveFreeze } from "../freeze/resolve.ts";
import { optionError } from "../options.ts";
import { layerGraph } from "../topology/build-graph.ts";
import { stagesOf } from "../topology/stages.ts";
import type { ScheduleArgument } from "../training/schedules.ts";
import type { RecipeName } from "./options.ts";
import type { RunSettings } from "./settings.ts";

/** Default rate if only new layers train. */
export const newLayerRate = 1e-3;

/** A phase with everything in place but what the model decides. */
export interface AskedPhase {
  /** Undefined for the default of a run without a policy. */
  readonly freeze: readonly FreezePolicy[] | undefined;
  readonly epochs: number;
  readonly learningRate: number | "auto";
  readonly schedule: ScheduleArgument;
  readonly warmup: number;
}

/** Numbers of the transfer recipe: the head's share of the epochs; the rate and the warm-up of the second phase, as shares. */
const transfer = { headShare: 1 / 3, rate: 0.1, warmup: 0.1 } as const;
/**
 * Numbers of the gradual recipe: the share of the epochs that each phase but the last has of an even one; the factor on the rate of a
 * stage for every stage after it (ULMFiT, Howard and Ruder 2018, and fastai's `slice(lr / 2.6**4, lr)`); warm-up of the later phases.
 */
const gradual = { evenShare: 0.5, decay: 1 / 2.6, warmup: 0.1 } as const;

/** Everything that a recipe makes its phases of. */
export interface RecipeAsked {
  readonly settings: RunSettings;
  readonly checkpoint: Checkpoint;
  /** True if this run made the head. */
  readonly headIsNew: boolean;
  /** The policies of the run. */
  readonly freeze: readonly FreezePolicy[] | undefined;
  readonly epochs: number;
}

/**
 * Returns the phases of a recipe.
 * @throws {UsageError} where it lacks a cut, or has fewer epochs than phases.
 */
export function recipePhases(recipe: RecipeName, asked: RecipeAsked): readonly AskedPhase[] {
  const { settings, freeze: own, epochs } = asked;
  const { learningRate, schedule, warmup } = settings;
  if (own === undefined) {
    throw optionError(
      "recipe",
      `a cut for its last phase, such as ${formatPolicy(freezeUntil("conv4"))}`,
      recipe,
      {
        code: "recipe-without-cut",
      },
    );
  }
  const rate = learningRate === "auto" ? newLayerRate : learningRate;
  const later = (share: number): number => (warmup === 0 ? share : warmup);
  if (recipe === "transfer") {
    const head = Math.min(epochs - 1, Math.ceil(epochs * transfer.headShare));
    requireEpochs(2, epochs);
    return [
      { freeze: [freezeAllButHead()], epochs: head, learningRate: rate, schedule, warmup },
      {
        freeze: own,
        epochs: epochs - head,
        learningRate: rate * transfer.rate,
        schedule,
        warmup: later(transfer.warmup),
      },
    ];
  }
  const cuts = gradualCuts(asked, own);
  requireEpochs(cuts.length, epochs);
  const each = Math.max(1, Math.floor((epochs / cuts.length) * gradual.evenShare));
  return cuts.map((freeze, index) => ({
    freeze,
    epochs: index < cuts.length - 1 ? each : epochs - each * (cuts.length - 1),
    learningRate: rate,
    schedule,
    warmup: index === 0 ? warmup : later(gradual.warmup),
  }));
}

/** Returns the run's layer decay: its own, else the recipe's. */
export function layerDecayOf({ layerDecay, recipe }: RunSettings): number | null {
  return layerDecay ?? (recipe === "gradual" ? gradual.decay : null);
}

/** Returns a cut for each phase: the head, then one stage more each time, and at last the policies of the run. */
function gradualCuts(
  { checkpoint, settings, headIsNew }: RecipeAsked,
  own: readonly FreezePolicy[],
): readonly (readonly FreezePolicy[])[] {
  const others = own.filter(({ kind }) => kind === "freeze" || kind === "unfreeze");
  if (others.length === own.length) {
    throw optionError(
      "recipe",
      `a cut such as ${formatPolicy(freezeUntil("conv4"))}, to which it frees stage by stage`,
      "gradual",
      {
        code: "recipe-without-cut",
      },
    );
  }
  const graph = layerGraph(checkpoint);
  const newLayers = checkpoint.notes.newLayers ?? [];
  const { frozen } = resolveFreeze(graph, own, { bnMode: settings.bnMode, newLayers, headIsNew });
  const { labels, labelOf } = stagesOf(graph);
  const freed = labels.filter(
    (label) =>
      label !== "head" &&
      graph.layers.some(
        ({ path }) => labelOf(path) === label && checkpoint.weights.has(path) && !frozen.has(path),
      ),
  );
  const between = freed
    .slice(1)
    .toReversed()
    .map((label) => [freezeUntil(label), ...others]);
  return freed.length === 0 ? [own] : [[freezeAllButHead()], ...between, own];
}

function requireEpochs(phases: number, epochs: number): void {
  if (epochs >= phases) return;
  throw optionError("epochs", `${phases} or more, because the recipe has ${phases} phases`, epochs);
}
