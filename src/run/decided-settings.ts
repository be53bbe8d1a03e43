import type { CheckpointFormat, Json, JsonObject, PreprocessMode } from "../checkpoint.ts";
import type { Precision } from "../engine/precision.ts";
import type { LossArgument } from "../task/losses/loss-argument.ts";
import type { Task } from "../task/task.ts";
import type { OptimizerConfig } from "../training/optimizer-config.ts";
import type { AskedPhase } from "./recipes.ts";
import type { RunSettings } from "./settings.ts";

/** The settings of a run once the model and the data have decided what was left to them: what `args.json` records. */
export interface DecidedSettings
  extends Omit<
    RunSettings,
    | "cache"
    | "epochs"
    | "imageSize"
    | "learningRate"
    | "loss"
    | "outputFormat"
    | "precision"
    | "preprocess"
    | "views"
  > {
  /** Epochs of all phases together. */
  readonly epochs: number;
  readonly cache: string | false;
  /** `[height, width]`; null for data that is not images, as is `preprocess`. */
  readonly imageSize: readonly [number, number] | null;
  readonly preprocess: PreprocessMode | null;
  /** `auto` where the optimizer has a schedule. */
  readonly learningRate: number | "auto";
  /** Each output's by its name where there are several. */
  readonly loss: string | JsonObject;
  readonly precision: Precision;
  /** Null where samples are not augmented. */
  readonly views: number | null;
  readonly outputFormat: CheckpointFormat;
}

/** Returns what args.json says of the phases: every one with its rate where there are several. */
export function recordedPhases(
  settings: RunSettings,
  asked: readonly AskedPhase[],
  optimizers: readonly OptimizerConfig[],
): Pick<DecidedSettings, "epochs" | "freeze" | "learningRate" | "phases" | "recipe"> {
  const rates = optimizers.map(({ settings: own }) => own["learning_rate"]);
  const rateOf = (index: number): number | "auto" => {
    const rate = rates[index];
    return typeof rate === "number" ? rate : "auto";
  };
  const epochs = asked.reduce((sum, phase) => sum + phase.epochs, 0);
  if (asked.length === 1 && settings.phases === null) {
    return { epochs, freeze: settings.freeze, learningRate: rateOf(0), phases: null, recipe: null };
  }
  const phases = asked.map(({ freeze, learningRate: _own, ...phase }, index) => {
    const rate = rateOf(index);
    return { freeze: freeze ?? [], ...phase, ...(rate !== "auto" && { learningRate: rate }) };
  });
  return { epochs, freeze: "auto", learningRate: settings.learningRate, phases, recipe: null };
}

/** Returns the loss, or each output's by name where there are several; a function of one's own by its name. */
export function recordedLoss({ outputs }: Task): DecidedSettings["loss"] {
  const named = (loss: LossArgument | null): Json => (typeof loss === "function" ? loss.name : loss);
  const [only] = outputs;
  if (only && outputs.length === 1) return named(only.loss) as string | JsonObject;
  return Object.fromEntries(outputs.map(({ name, loss }) => [name, named(loss)]));
}
