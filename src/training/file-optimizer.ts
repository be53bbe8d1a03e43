/** @file The optimizer that a model's file was compiled with: its config, and where it had come to. */
import type { Checkpoint, Json, JsonObject } from "../checkpoint.ts";
import { UsageError } from "../errors.ts";
import { optionName, optionSetTo } from "../options.ts";
import type { OptimizerArgument, OptimizerConfig } from "./optimizer-config.ts";
import { classOfOptimizer, optimizerConfig } from "./optimizer-config.ts";
import type { VariableLayout } from "./optimizer-variables.ts";
import { readOptimizerState } from "./optimizer-variables.ts";
import type { OptimizerState } from "./state.ts";

/** The optimizer of a file. */
export interface FileOptimizer {
  /** Its config, in the words of Keras 3. */
  readonly argument: OptimizerArgument;
  /** Its count of steps and its slots for all weights that the file lets train; null where it has not taken a step. */
  readonly state: OptimizerState | null;
  /** A line that says which formula it follows, and from where it goes on. */
  readonly line: string;
}

/** Classes whose update adds epsilon after the square root in Keras 1 and in Keras 2's legacy optimizers. */
const epsilonOutside: ReadonlySet<string> = new Set(["RMSprop", "Adagrad"]);

/**
 * Returns the optimizer that a checkpoint was compiled with. What the legacy optimizers of Keras 2 compute in another way than Keras 3
 * (epsilon of RMSprop and Adagrad, `decay`) stays theirs.
 * @throws {UsageError} for a file without one, and for one whose variables cannot be placed.
 */
export function fileOptimizer(checkpoint: Checkpoint): FileOptimizer {
  const { trainingConfig, kerasVersion } = checkpoint;
  const written = trainingConfig?.["optimizer"] ?? trainingConfig?.["optimizer_config"];
  if (written === undefined || written === null) {
    throw fileError("a file that is compiled with an optimizer", "one without");
  }
  const isLegacy = isLegacyOptimizer(checkpoint, written);
  const layout: VariableLayout = isLegacy ? "legacy" : kerasVersion.startsWith("2") ? "keras2" : "keras3";
  const given = typeof written === "object" ? (written as JsonObject) : { class_name: String(written) };
  const name = classOfOptimizer(given);
  const isOutside = isLegacy && epsilonOutside.has(name);
  const config = { ...(given["config"] as JsonObject | undefined) };
  const argument = { ...given, config: { ...config, ...(isOutside && { epsilon_outside: true }) } };
  const settled = optimizerConfig(argument);
  const { use_ema, gradient_accumulation_steps } = settled.settings;
  if (use_ema === true && gradient_accumulation_steps && /^3\.([0-9]|1[0-4])\b/.test(kerasVersion)) {
    throw fileError(
      "averages of weights or accumulated gradients",
      `both in a file of Keras ${kerasVersion}, whose order is not told`,
    );
  }
  if (kerasVersion.startsWith("1") && checkpoint.format === "h5") {
    throw fileError(
      "a file of Keras 2 or 3",
      `one of Keras ${kerasVersion}, whose slots are in the order of the weights' lost names`,
    );
  }
  const state = checkpoint.optimizerWeights ? readOptimizerState(checkpoint, settled, layout) : null;
  const formula = isLegacy
    ? `Keras ${kerasVersion}'s legacy optimizers${isOutside ? ", epsilon added after the square root" : ""}`
    : `Keras ${kerasVersion}`;
  const start = state ? `goes on after ${state.iterations} steps` : "begins fresh: the file has no slots";
  return { argument, state, line: `optimizer ${name} of the file, as in ${formula}; ${start}` };
}

/**
 * Returns the part of a file's state that belongs to the weights that train.
 * @throws {UsageError} naming the first of them that the file's optimizer did not train.
 */
export function stateOfTrained(
  { state }: FileOptimizer,
  { className }: OptimizerConfig,
  trained: ReadonlyMap<string, readonly string[]>,
  newLayers: readonly string[],
): OptimizerState | null {
  if (!state) return null;
  const known = new Map(state.slots.map((own) => [`${own.layer}/${own.weight}`, own]));
  const slots = [...trained].flatMap(([layer, names]) =>
    names.map((name) => {
      const own = known.get(`${layer}/${name}`);
      if (own) return own;
      const reason = newLayers.includes(layer)
        ? `none, because the layer is new. ${optionSetTo("keepHead", true)} keeps the file's`
        : "none, because the layer was frozen. Freeze it here too";
      throw new UsageError(
        `${layer}/${name}: ${optionName("optimizer")} file: expected the slots of ${className} in the file, got ${reason}, or name an optimizer, which begins fresh.`,
        "optimizer-file",
        "optimizer",
      );
    }),
  );
  return { ...state, slots };
}

function isLegacyOptimizer({ kerasVersion, optimizerWeights }: Checkpoint, written: Json): boolean {
  const config = typeof written === "object" ? (written as JsonObject)["config"] : undefined;
  const flag = (config as JsonObject | undefined)?.["is_legacy_optimizer"];
  if (typeof flag === "boolean") return flag;
  const [, major, minor = "0"] = /^(\d+)(?:\.(\d+))?/.exec(kerasVersion) ?? [];
  if (major === "1") return true;
  if (major !== "2") return false;
  return Number(minor) < 11 || /iter(?:ations)?:0$/.test(optimizerWeights?.[0]?.name ?? "");
}

function fileError(expected: string, got: string): UsageError {
  return new UsageError(
    `${optionName("optimizer")} file: expected ${expected}, got ${got}. Name an optimizer.`,
    "optimizer-file",
    "optimizer",
  );
}
