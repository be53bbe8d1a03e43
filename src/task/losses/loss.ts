/** Keras's losses by name, class name or config, and losses of one's own. */
import type { Json, JsonObject } from "../../checkpoint.ts";
import { operations } from "../../engine/tensor-operations.ts";
import { tf } from "../../engine/tf.ts";
import { UsageError } from "../../errors.ts";
import { optionName } from "../../options.ts";
import { formatShape } from "../../tensor.ts";
import { isObject } from "../../topology/config-values.ts";
import { crossentropies } from "./crossentropies.ts";
import { distances } from "./distances.ts";
import type { CustomLoss, LossArgument } from "./loss-argument.ts";
import type {
  LossDefinition,
  LossFunction,
  LossSettings,
  SlopedFunction,
  TargetForm,
} from "./loss-definition.ts";
import { activated } from "./output.ts";
import { overlaps } from "./overlaps.ts";

/** Reduction of a batch's values to its loss (`reduce_weighted_values` in `keras/src/losses/loss.py`). */
export type LossReduction = "sum_over_batch_size" | "sum" | "none" | "mean_with_sample_weight";

export interface Loss {
  /** Keras's function name, or that of a function of one's own. */
  readonly name: string;
  readonly targets: TargetForm;
  /** Kind of task that the loss implies. */
  readonly kind: LossDefinition["kind"];
  readonly settings: LossSettings;
  readonly reduction: LossReduction;
  readonly values: LossFunction;
  readonly sloped?: SlopedFunction;
  /** True for a function of one's own, which may compute from anything. */
  readonly isOwn?: boolean;
}

const definitions: Readonly<Record<string, LossDefinition>> = {
  ...crossentropies,
  ...distances,
  ...overlaps,
};

/** Returns Keras's function names of all losses. */
export function lossNames(): readonly string[] {
  return Object.keys(definitions);
}

/** Returns Keras's class name of a loss by its function's. */
export function lossClassName(name: string): string | undefined {
  return definitions[name]?.className;
}

/**
 * Returns the loss that an argument means. `crossentropy` and `ce`, which Keras resolves by shape, are no loss of their own here.
 * @throws {UsageError} for a name or a setting that is not known here.
 */
export function lossOf(argument: LossArgument): Loss {
  if (typeof argument === "function") return ownLoss(argument);
  const { given, config } = namedLoss(argument);
  const name = lossNamed(given);
  const definition = name === undefined ? undefined : definitions[name];
  if (name === undefined || !definition) {
    throw new UsageError(
      `${optionName("loss")} "${given}": expected one of ${lossNames().join(", ")}, got an unknown name.`,
      "loss-unknown",
      "loss",
    );
  }
  const { settings, reduction } = settingsOf(name, definition, config);
  return {
    name,
    targets: definition.targets ?? "values",
    kind: definition.kind,
    settings,
    reduction,
    values: definition.create(settings),
    ...(definition.sloped && { sloped: definition.sloped(settings) }),
  };
}

/** Returns Keras's function name of a loss in any spelling; undefined where there is none of that name. */
export function lossNamed(given: string): string | undefined {
  const plain = given.toLowerCase().replaceAll("_", "");
  return Object.entries(definitions).find(([name, { className, aliases = [] }]) =>
    [name, className, ...aliases].some((spelling) => spelling.toLowerCase().replaceAll("_", "") === plain),
  )?.[0];
}

/**
 * Returns the name and the settings in an argument. Keras 3 writes a function as an object whose config is its name; a wrapped
 * function is named by `fn`; a registered class stands behind its package's name.
 */
export function namedLoss(argument: string | JsonObject): { given: string; config: JsonObject } {
  if (typeof argument === "string") return { given: argument, config: {} };
  const { class_name: className, config } = argument;
  if (className === "function" && typeof config === "string") return { given: config, config: {} };
  const settings = isObject(config) ? config : {};
  const { fn } = settings;
  if (className === "LossFunctionWrapper" && fn !== undefined) {
    return { given: namedFunction(fn), config: settings };
  }
  return { given: String(className).split(">").at(-1) ?? "", config: settings };
}

function namedFunction(fn: Json): string {
  return isObject(fn) && typeof fn["config"] === "string" ? fn["config"] : String(fn);
}

function ownLoss(given: CustomLoss): Loss {
  return {
    name: given.name || "loss",
    targets: "values",
    kind: "any",
    settings: {},
    reduction: "sum_over_batch_size",
    isOwn: true,
    values: (targets, output) => {
      const values: unknown = given(targets, activated(output), operations);
      const samples = output.values.shape[0];
      if (values instanceof tf.Tensor && (values.rank === 0 || values.shape[0] === samples)) return values;
      const got = values instanceof tf.Tensor ? `shape ${formatShape(values.shape)}` : typeof values;
      throw new UsageError(
        `loss ${given.name || "of a function"}: expected one value per sample, a tensor [${samples}] or [${samples}, …], got ${got}. Reduce over the last axis only: ops.mean(…, -1).`,
        "loss-value",
        "loss",
      );
    },
  };
}

const reductions: Readonly<Record<string, LossReduction>> = {
  sum_over_batch_size: "sum_over_batch_size",
  mean: "sum_over_batch_size",
  auto: "sum_over_batch_size",
  sum: "sum",
  none: "none",
  mean_with_sample_weight: "mean_with_sample_weight",
};

function settingsOf(
  name: string,
  { defaults = {} }: LossDefinition,
  config: JsonObject,
): { settings: LossSettings; reduction: LossReduction } {
  const settings: Record<string, Json> = { ...defaults };
  let reduction: LossReduction = "sum_over_batch_size";
  for (const [key, value] of Object.entries(config)) {
    if (["name", "dtype", "fn"].includes(key)) continue;
    if (key === "reduction") {
      const found = reductions[String(value ?? "none")];
      if (!found) throw badSetting(name, key, oneOf(Object.keys(reductions)), value);
      reduction = found;
      continue;
    }
    const known = settings[key];
    if (known === undefined) throw badSetting(name, key, oneOf(Object.keys(settings)), value);
    if (!fits(key, known, value)) throw badSetting(name, key, `a ${typeof known}`, value);
    settings[key] = value;
  }
  return { settings, reduction };
}

/** A setting keeps its default's type; axes may be lists, and so may `alpha`: one a class. */
function fits(key: string, known: Json, value: Json): boolean {
  if (key === "axis" || key === "ignore_class" || key === "alpha") {
    return value === null ? known === null : !["string", "boolean"].includes(typeof value);
  }
  return typeof known === typeof value && (typeof value !== "number" || Number.isFinite(value));
}

function badSetting(loss: string, key: string, expected: string, value: Json): UsageError {
  return new UsageError(
    `loss ${loss}: "${key}": expected ${expected}, got ${JSON.stringify(value)}.`,
    "loss-setting",
    "loss",
  );
}

function oneOf(names: readonly string[]): string {
  return names.length > 0 ? `one of ${names.join(", ")}` : "no settings";
}
