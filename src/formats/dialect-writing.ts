import type { Checkpoint, JsonObject, Weight } from "../checkpoint.ts";
import { isObject } from "../topology/config-values.ts";
import { type Dialect, dialectOf } from "../topology/dialects/dialect.ts";
import { translateCompileConfig } from "../topology/translate/compile-config.ts";
import { translateConfig } from "../topology/translate/translate-config.ts";

/** The Keras release in whose dialect translated models are written. */
export const dialectVersion = "3.15.1";

/** The Keras 2 release that computes what Keras 1 did. */
const keras2Version = "2.2.4";

/**
 * Returns the checkpoint as a file of that dialect holds it: config and compile config translated, weights and notes
 * under the new layer paths. The optimizer's variables are kept where the other Keras has the same ones.
 * @throws {TopologyError} naming the layer that cannot be translated.
 */
export function inDialect(checkpoint: Checkpoint, to: Dialect): Checkpoint {
  const from = dialectOf(checkpoint);
  const { modelConfig, renamed } = translateConfig(checkpoint, to);
  const { trainingConfig, optimizerWeights, ...rest } = checkpoint;
  const training = trainingConfig && translateCompileConfig(trainingConfig, from, to);
  const path = (old: string): string => renamed.get(old) ?? old;
  const weights = new Map<string, readonly Weight[]>();
  for (const [layer, variables] of checkpoint.weights) weights.set(path(layer), variables);
  const { newLayers, ...notes } = checkpoint.notes;
  return {
    ...rest,
    kerasVersion: sameKeras(from, to)
      ? checkpoint.kerasVersion
      : to === "keras2"
        ? keras2Version
        : dialectVersion,
    modelConfig,
    weights,
    ...(training && { trainingConfig: training }),
    ...optimizerIn(to, from, optimizerWeights, training),
    notes: newLayers ? { ...notes, newLayers: newLayers.map(path) } : notes,
  };
}

/**
 * Returns the optimizer's variables in another dialect. Keras 3 has those of the optimizers of Keras 2.11 to 2.15, whose count of steps
 * is called `iteration`, and their rate beside it unless a schedule sets it. What the legacy optimizers keep is in another order.
 */
function optimizerIn(
  to: Dialect,
  from: Dialect,
  variables: readonly Weight[] | undefined,
  training: JsonObject | undefined,
): Pick<Checkpoint, "optimizerWeights"> {
  if (!variables || sameKeras(from, to)) return variables ? { optimizerWeights: variables } : {};
  const [count, ...slots] = variables;
  const written = training?.["optimizer"] ?? training?.["optimizer_config"];
  if (!count || !isObject(written) || !to.startsWith("keras3") || count.name !== "iteration:0") return {};
  const { learning_rate: rate, momentum } = isObject(written["config"]) ? written["config"] : {};
  if (rate === undefined) return {};
  const data = Float32Array.of(Number(rate));
  const own: Weight[] = isObject(rate) ? [] : [{ name: "learning_rate", dtype: "float32", shape: [], data }];
  // Keras 2 makes the momentum of SGD also where it is 0.
  const isPlain = written["class_name"] === "SGD" && !momentum;
  return { optimizerWeights: [{ ...count, name: "iteration" }, ...own, ...(isPlain ? [] : slots)] };
}

/** Returns the dialect of the `.h5` that a checkpoint is written as. */
export function dialectInH5(checkpoint: Pick<Checkpoint, "modelConfig" | "kerasVersion">): Dialect {
  return dialectOf(checkpoint).startsWith("keras3") ? "keras3-h5" : "keras2";
}

/**
 * Returns a sentence on the compile settings that the checkpoint loses in that dialect, undefined if it keeps all.
 * @throws {TopologyError} naming the layer that cannot be translated.
 */
export function leftInDialect(checkpoint: Checkpoint, dialect: Dialect): string | undefined {
  const written = inDialect(checkpoint, dialect);
  if (!written.trainingConfig) {
    return "Loss, metrics and optimizer are left out: Keras 3 has no equivalent of them.";
  }
  if (checkpoint.optimizerWeights && !written.optimizerWeights) {
    return "The optimizer's state is left out: Keras 3 has other variables than the legacy optimizers of Keras 2. The optimizer starts fresh.";
  }
  return undefined;
}

const namedChanges = 5;

/** Joins the first five of these sentences on layers, and counts the others. */
export function listed(layers: readonly string[]): string {
  const others = layers.length - namedChanges;
  const more = others > 0 ? [`${others} more ${others === 1 ? "layer" : "layers"} like these`] : [];
  return [...layers.slice(0, namedChanges), ...more].join("; ");
}

function sameKeras(from: Dialect, to: Dialect): boolean {
  return (
    from === to ||
    (from.startsWith("keras3") && to.startsWith("keras3")) ||
    (from === "keras2-archive" && to === "keras2")
  );
}
