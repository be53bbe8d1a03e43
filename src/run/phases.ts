import type { Checkpoint } from "../checkpoint.ts";
import type { CutModel } from "../features/cut.ts";
import { formatBytes, formatSeconds } from "../freeze/number-text.ts";
import type { FinetunePlan } from "../freeze/plan.ts";
import type { FreezePolicy } from "../freeze/policy.ts";
import { freeze, freezeAllButHead, freezeUntil } from "../freeze/policy.ts";
import { optionError, optionName } from "../options.ts";
import type { OptimizerConfig } from "../training/optimizer-config.ts";
import type { ScheduleArgument } from "../training/schedules.ts";
import type { TrainingCounts } from "../training/state.ts";
import type { AskedPhase } from "./recipes.ts";
import { recipePhases } from "./recipes.ts";
import type { RunSettings } from "./settings.ts";

/** A phase with everything decided. */
export interface PreparedPhase extends CutModel {
  /** Counted from 1. */
  readonly number: number;
  readonly epochs: number;
  /** The policies in words. */
  readonly policy: string;
  readonly plan: FinetunePlan;
  /** Paths of the frozen layers. */
  readonly frozen: ReadonlySet<string>;
  readonly optimizer: OptimizerConfig;
  readonly schedule: ScheduleArgument;
  readonly warmup: number;
}

/** Epochs of a run that asks for none. */
export const usualEpochs = 10;

/**
 * Returns the policies of a cut by its name: `head`, `none`, or what `freezeUntil` takes.
 * @throws {UsageError} for a name that lists several.
 */
export function cutNamed(name: string): FreezePolicy {
  if (name === "head") return freezeAllButHead();
  return name === "none" ? freeze("none") : freezeUntil(name);
}

/**
 * Returns the phases of a run: those that it asks for, those of its recipe, or one. `headIsNew` says if this run made the head of the
 * checkpoint.
 * @throws {UsageError} for options that exclude each other.
 */
export function askedPhases(
  settings: RunSettings,
  checkpoint: Checkpoint,
  headIsNew: boolean,
): readonly AskedPhase[] {
  const { phases, recipe, learningRate, schedule, warmup } = settings;
  const own = settings.freeze === "auto" ? undefined : asList(settings.freeze);
  const epochs = settings.epochs === "auto" ? usualEpochs : settings.epochs;
  if (phases !== null) {
    requireAlone(settings);
    return withEpochs(
      phases.map((phase) => ({
        freeze: asList(phase.freeze),
        epochs: phase.epochs,
        learningRate: phase.learningRate ?? learningRate,
        schedule: phase.schedule ?? schedule,
        warmup: phase.warmup ?? warmup,
      })),
      settings.epochs,
    );
  }
  if (recipe === null) return [{ freeze: own, epochs, learningRate, schedule, warmup }];
  return recipePhases(recipe, { settings, checkpoint, headIsNew, freeze: own, epochs });
}

/** Returns the first and the last epoch of a phase as they are planned, counted from 1 over all phases. */
export function plannedEpochs(
  phases: readonly { readonly epochs: number }[],
  index: number,
): { readonly from: number; readonly to: number } {
  const before = phases.slice(0, index).reduce((sum, { epochs }) => sum + epochs, 0);
  return { from: before + 1, to: before + (phases[index]?.epochs ?? 0) };
}

/** Returns the number of epochs that each phase still has, of a run that is at `counts`; null for one that begins. */
export function epochsLeft(
  phases: readonly { readonly epochs: number }[],
  counts: TrainingCounts | null,
): readonly number[] {
  if (!counts) return phases.map(({ epochs }) => epochs);
  return phases.map(({ epochs }, index) => {
    const isOver = counts.ended === "run" || index + 1 < counts.phase;
    if (isOver || (index + 1 === counts.phase && counts.ended === "phase")) return 0;
    return index + 1 === counts.phase ? Math.max(0, epochs - counts.phaseEpochs) : epochs;
  });
}

/** Returns a line for each phase of the plan; none for a run of one phase. */
export function phaseLines(phases: readonly PreparedPhase[], layerDecay: number | null): string[] {
  if (phases.length < 2) return [];
  return phases.map(({ number, policy, plan, optimizer }, index) => {
    const { from, to } = plannedEpochs(phases, index);
    const rate = optimizer.settings["learning_rate"];
    const { cost, frontier } = plan;
    const facts = [
      `epochs ${from === to ? from : `${from}-${to}`}`,
      `rate ${typeof rate === "number" ? rate : "by its schedule"}${layerDecay === null ? "" : `, ${Number(layerDecay.toPrecision(2))} times for each stage before`}`,
      `from ${plan.firstTrainable} on`,
      `features ${frontier.map(({ tensor }) => tensor).join(", ")}`,
      ...(cost
        ? [`${formatSeconds(cost.epochSeconds)} an epoch, cache ${formatBytes(cost.cacheBytes)}`]
        : []),
    ];
    return `phase ${number}   ${policy}: ${facts.join("  ")}`;
  });
}

/** More epochs than planned make the last phase longer. */
function withEpochs(phases: readonly AskedPhase[], epochs: RunSettings["epochs"]): readonly AskedPhase[] {
  const planned = phases.reduce((sum, phase) => sum + phase.epochs, 0);
  if (epochs === "auto" || epochs === planned) return phases;
  if (epochs < planned) {
    throw optionError("epochs", `the ${planned} of the phases, or more for the last`, epochs, {
      advice: `Remove ${optionName("epochs")}.`,
    });
  }
  return phases.map((phase, index) =>
    index === phases.length - 1 ? { ...phase, epochs: phase.epochs + epochs - planned } : phase,
  );
}

function requireAlone({ freeze: own, recipe }: RunSettings): void {
  for (const [option, isGiven] of [
    ["freeze", own !== "auto"],
    ["recipe", recipe !== null],
  ] as const) {
    if (!isGiven) continue;
    throw optionError(
      "phases",
      `to be given without ${optionName(option)}, because each phase has its own cut`,
      "both",
      {
        code: "phases-and-freeze",
      },
    );
  }
}

function asList(policies: FreezePolicy | readonly FreezePolicy[]): readonly FreezePolicy[] {
  return "kind" in policies ? [policies] : policies;
}
