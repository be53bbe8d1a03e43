import type { Json, JsonObject } from "../checkpoint.ts";
import { UsageError } from "../errors.ts";
import { optionName } from "../options.ts";
import type { Schedule } from "./keras-schedules.ts";
import { kerasSchedule } from "./keras-schedules.ts";
import { requireRanges, settingError } from "./optimizer-ranges.ts";
import { classes, classOf, updateRule } from "./optimizers/classes.ts";
import type { OptimizerSettings } from "./optimizers/update-rule.ts";

/** A Keras optimizer's config, its class's defaults filled in. */
export interface OptimizerConfig {
  readonly className: string;
  /** `learning_rate` is a number or the config of one of Keras's schedules. */
  readonly settings: Readonly<Record<string, Json>>;
}

/** A Keras class name in any spelling, or `{ class_name, config }` as Keras writes it. */
export type OptimizerArgument = string | JsonObject;

/** Options of a run that stand over those of its optimizer. */
export interface OptimizerOptions {
  readonly learningRate?: number | undefined;
  readonly momentum?: number | undefined;
  readonly weightDecay?: number | undefined;
  /** The longest gradient of one weight. */
  readonly clipNorm?: number | undefined;
  readonly clipValue?: number | undefined;
  /** The longest gradient of all weights together. */
  readonly globalClipNorm?: number | undefined;
  /** Steps whose gradients make one update. */
  readonly accumulate?: number | undefined;
  /** The decay of the moving average of the weights. */
  readonly ema?: number | undefined;
}

/** Arguments that every class has, with their defaults (`keras/src/optimizers/base_optimizer.py`). */
const shared: OptimizerSettings = {
  weight_decay: null,
  clipnorm: null,
  clipvalue: null,
  global_clipnorm: null,
  use_ema: false,
  ema_momentum: 0.99,
  ema_overwrite_frequency: null,
  loss_scale_factor: null,
  gradient_accumulation_steps: null,
  // What Keras's method of that name takes: no argument of the constructor, and never written.
  exclude_from_weight_decay: null,
};

/** Settings that are ours alone: Keras's constructors do not know them. */
const ownSettings: ReadonlySet<string> = new Set([
  "epsilon_outside",
  "exclude_from_weight_decay",
  "schedule_decay",
  "starts_at_weights",
]);
/** Arguments of Keras that say nothing of the updates. */
const ignored: ReadonlySet<string> = new Set(["name", "jit_compile", "is_legacy_optimizer"]);

export function optimizerNames(): readonly string[] {
  return classes.map(({ className }) => className);
}

/** Returns how many tensors of a weight's own size the optimizer keeps beside the weight. */
export function slotsPerWeight(config: OptimizerConfig): number {
  const { slots } = updateRule(config, { path: "kernel", shape: [8, 8] });
  const whole = Object.values(slots).filter(({ shape }) => shape.length === 2).length;
  const { use_ema, gradient_accumulation_steps } = config.settings;
  return whole + (use_ema === true ? 1 : 0) + (gradient_accumulation_steps === null ? 0 : 1);
}

/** Returns the learning rate by the number of steps taken before. */
export function rateOf({ settings }: OptimizerConfig): Schedule {
  const rate = settings["learning_rate"];
  if (typeof rate === "number") return () => rate;
  return kerasSchedule(rate as JsonObject);
}

/**
 * Returns the optimizer that `argument` names, with Keras's defaults. `options` win over what `argument` says; `otherwise` is the
 * learning rate where neither says one.
 * @throws {UsageError} for a class, a setting or a schedule that is not known here, and for a value that the class cannot take.
 */
export function optimizerConfig(
  argument: OptimizerArgument,
  options: OptimizerOptions | number = {},
  otherwise?: number,
): OptimizerConfig {
  const { name, config } = unwrapped(argument);
  const found = classOf(name);
  if (!found) throw unknownOptimizer(name);
  const { className } = found;
  const settings: Record<string, Json> = {
    ...shared,
    ...found.defaults,
    ...(otherwise !== undefined && { learning_rate: otherwise }),
  };
  const given = inKeras3Words(className, config);
  for (const [key, value] of Object.entries(given)) {
    if (ignored.has(key)) continue;
    if (!(key in settings)) {
      throw settingError(
        `${className}: "${key}"`,
        `one of ${Object.keys(settings).join(", ")}`,
        "an unknown setting",
      );
    }
    if (value !== null || isNullable(className, key)) settings[key] = value;
  }
  Object.assign(
    settings,
    settingsOf(className, typeof options === "number" ? { learningRate: options } : options),
  );
  requireRanges(className, settings);
  return { className, settings };
}

/** Returns the name of the class that `argument` names. @throws {UsageError} for one that is not known here. */
export function classOfOptimizer(argument: OptimizerArgument): string {
  const { name } = unwrapped(argument);
  const found = classOf(name);
  if (!found) throw unknownOptimizer(name);
  return found.className;
}

/** Returns what a run should say of the optimizer before it trains. */
export function optimizerWarnings({ className, settings }: OptimizerConfig): readonly string[] {
  if (settings["epsilon_outside"] === true) {
    return [
      `optimizer ${className}: epsilon is added after the square root, as in Keras 1 and in the legacy optimizers of Keras 2. ` +
        "A written .keras names Keras 3's, which adds it before: training on from it in Keras follows that formula.",
    ];
  }
  if (className !== "ScheduleFreeAdamW" || settings["starts_at_weights"] === true) return [];
  return [
    "optimizer ScheduleFreeAdamW: Keras 3.15 forgets the model's weights at the first update, and so it is done here. " +
      'Give it "starts_at_weights": true in its config to train on from them.',
  ];
}

/** Returns the optimizer as Keras writes it in a compile config. */
export function kerasOptimizer({ className, settings }: OptimizerConfig): JsonObject {
  const config = Object.fromEntries(Object.entries(settings).filter(([key]) => !ownSettings.has(key)));
  return { module: "keras.optimizers", class_name: className, config, registered_name: null };
}

/**
 * The class and the arguments. A LossScaleOptimizer is the optimizer inside it: gradients are float32 here, which neither underflow
 * nor need a scale.
 */
function unwrapped(argument: OptimizerArgument): { name: string; config: JsonObject } {
  if (typeof argument === "string") return { name: argument, config: {} };
  const name = argument["class_name"];
  if (typeof name !== "string") {
    throw new UsageError(
      `${optionName("optimizer")}: expected a name or { class_name, config }, got ${JSON.stringify(argument)}.`,
      "optimizer-unknown",
      "optimizer",
    );
  }
  const config = (argument["config"] ?? {}) as JsonObject;
  const plain = withoutPackage(name, argument);
  if (plain.toLowerCase() !== "lossscaleoptimizer") return { name: plain, config };
  const inner = config["inner_optimizer"] ?? config["optimizer"];
  if (typeof inner === "object" && inner !== null) return unwrapped(inner as JsonObject);
  throw settingError("LossScaleOptimizer: inner_optimizer", "an optimizer", "none");
}

/** `Custom>Adam` and `Keras>Adam` are Keras's own; a class of another package may compute anything. */
function withoutPackage(name: string, { module, registered_name }: JsonObject): string {
  const [plain = name, ...packages] = name.split(">").reverse();
  const registered = typeof registered_name === "string" ? registered_name.split(">") : [];
  const owner = [...packages, ...registered.slice(0, -1)].find(
    (each) => !/^(?:custom|keras|tf_keras)$/i.test(each),
  );
  const home = typeof module === "string" && !/^(?:tf_)?keras\b|^builtins$/.test(module) ? module : owner;
  if (home === undefined) return plain;
  throw new UsageError(
    `${optionName("optimizer")} "${name}": expected one of Keras's, got one of ${home}, whose updates are in Python code. Name one of ${optimizerNames().join(", ")}.`,
    "optimizer-unknown",
    "optimizer",
  );
}

function unknownOptimizer(name: string): UsageError {
  const isSeveral = name.toLowerCase() === "multioptimizer";
  const expected = isSeveral ? "one optimizer for all weights" : `one of ${optimizerNames().join(", ")}`;
  const advice = isSeveral
    ? ` Name one of them, and set rates by stage with ${optionName("layerDecay")}.`
    : "";
  return new UsageError(
    `${optionName("optimizer")} "${name}": expected ${expected}, got ${isSeveral ? "several" : "an unknown name"}.${advice}`,
    "optimizer-unknown",
    "optimizer",
  );
}

/** The arguments as Keras 3 names them. `decay` of Keras 1 and 2 divides the rate by `1 + decay * iterations`. */
function inKeras3Words(className: string, config: JsonObject): JsonObject {
  const { lr, decay, ...rest } = config as Record<string, Json>;
  const given: Record<string, Json> = { ...rest, ...(lr !== undefined && { learning_rate: lr }) };
  if (given["weight_decay"] === false) given["weight_decay"] = null;
  if (decay === undefined || decay === null || decay === 0) return given;
  if (className === "Nadam") return { ...given, schedule_decay: decay };
  const initial = given["learning_rate"];
  if (typeof initial !== "number") return { ...given, decay };
  const settings = { initial_learning_rate: initial, decay_steps: 1, decay_rate: decay };
  return { ...given, learning_rate: { class_name: "InverseTimeDecay", config: settings } };
}

/** Tells if null is a value of the setting, and not its absence. */
function isNullable(className: string, key: string): boolean {
  const own = classOf(className)?.defaults ?? {};
  return shared[key] === null || own[key] === null || key === "rms_rate" || key === "adam_weight_decay";
}

function settingsOf(className: string, options: OptimizerOptions): Record<string, Json> {
  const { learningRate, momentum, weightDecay, clipNorm, clipValue, globalClipNorm, accumulate, ema } =
    options;
  if (momentum !== undefined && !["SGD", "RMSprop", "Muon"].includes(className)) {
    throw new UsageError(
      `${optionName("momentum")}: expected an optimizer that has one (SGD, RMSprop, Muon), got ${className}.`,
      "optimizer-setting",
      "momentum",
    );
  }
  const clip = { clipnorm: clipNorm, clipvalue: clipValue, global_clipnorm: globalClipNorm };
  const clips = Object.values(clip).some((value) => value !== undefined);
  const steps = accumulate === undefined || accumulate === 1 ? undefined : accumulate;
  return {
    ...(learningRate !== undefined && { learning_rate: learningRate }),
    ...(momentum !== undefined && { momentum }),
    ...(weightDecay !== undefined && { weight_decay: weightDecay }),
    ...(clips && Object.fromEntries(Object.entries(clip).map(([key, value]) => [key, value ?? null]))),
    ...(steps !== undefined && { gradient_accumulation_steps: steps }),
    ...(ema !== undefined && { use_ema: true, ema_momentum: ema }),
  };
}

/** Returns the number of steps whose gradients make one update. */
export function stepsPerUpdate({ settings }: OptimizerConfig): number {
  return (settings["gradient_accumulation_steps"] as number | null | undefined) ?? 1;
}
