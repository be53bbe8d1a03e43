import type { Checkpoint, CheckpointFormat, Weight } from "../checkpoint.ts";
import { layerGraph } from "../topology/build-graph.ts";
import { type Dialect, dialectOf } from "../topology/dialects/dialect.ts";
import { changesInKeras3, type Keras3Release } from "../topology/translate/changes-in-keras3.ts";
import { translateCompileConfig } from "../topology/translate/compile-config.ts";
import { refusalsOfKeras3 } from "../topology/translate/keras3-refusals.ts";
import { translateConfig } from "../topology/translate/translate-config.ts";

/** The Keras whose dialect a translated model is in. */
export const dialectVersion = "3.15.1";

/** The Keras 2 that computes what Keras 1 did. */
const keras2Version = "2.2.4";

/**
 * The checkpoint as a file of that dialect holds it: config and compile config translated, weights and notes under the new
 * layer paths. The optimizer's variables are kept where the same Keras reads them: another orders them otherwise.
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
    ...(optimizerWeights && sameKeras(from, to) && { optimizerWeights }),
    notes: newLayers ? { ...notes, newLayers: newLayers.map(path) } : notes,
  };
}

/** The dialect of the `.h5` that a checkpoint is written as. */
export function dialectInH5(checkpoint: Pick<Checkpoint, "modelConfig" | "kerasVersion">): Dialect {
  return dialectOf(checkpoint).startsWith("keras3") ? "keras3-h5" : "keras2";
}

/**
 * What a model was compiled with and a file in that format does not hold; undefined where it holds all.
 * @throws {TopologyError} naming the layer that the format cannot hold.
 */
export function leftBehind(checkpoint: Checkpoint, format: CheckpointFormat): string | undefined {
  const { trainingConfig = {}, optimizerWeights } = checkpoint;
  if (Object.keys(trainingConfig).length === 0) return undefined;
  if (format === "tfjs")
    return "Loss, metrics and optimizer stay behind: a folder of tfjs is for predictions.";
  if (format === "weights.h5") return undefined;
  const written = inDialect(checkpoint, format === "h5" ? dialectInH5(checkpoint) : "keras3");
  if (!written.trainingConfig)
    return "Loss, metrics and optimizer stay behind: Keras 3 has none of their kind.";
  if (optimizerWeights && !written.optimizerWeights) {
    return "The optimizer's state stays behind: Keras 3 has other variables than Keras 2. It starts afresh.";
  }
  return undefined;
}

/** More layers than these are counted. */
const namedChanges = 5;

/**
 * What to say of a checkpoint before it is written in that format: what the Keras that will open it computes otherwise, and what keeps
 * Keras 3 from opening an `.h5`.
 */
export function writingWarnings(
  checkpoint: Pick<Checkpoint, "modelConfig" | "kerasVersion">,
  format: CheckpointFormat,
  release: Keras3Release = "current",
): readonly string[] {
  if (format === "h5") return unopenedWarnings(checkpoint);
  if (format === "weights.h5") return unfoundWarnings(checkpoint);
  const changes = format === "keras" ? changesInKeras3(checkpoint, release) : [];
  if (changes.length === 0) return [];
  const listed = named(changes);
  const isKeras3 = checkpoint.kerasVersion.startsWith("3");
  const opener = release === "early" ? "in Keras 3.0" : isKeras3 ? `in Keras ${dialectVersion}` : "";
  const advice = isKeras3
    ? `Open it in Keras ${checkpoint.kerasVersion} to keep its numbers`
    : "Write .h5 to keep its numbers";
  return [
    `As .keras the model computes otherwise${opener && ` ${opener}`} than in Keras ${checkpoint.kerasVersion}: ${listed}. ${advice}, or tune it in the new form.`,
  ];
}

function unopenedWarnings(checkpoint: Pick<Checkpoint, "modelConfig" | "kerasVersion">): readonly string[] {
  const refusals = refusalsOfKeras3(checkpoint);
  if (refusals.length === 0) return [];
  const what = checkpoint.kerasVersion.startsWith("3")
    ? "As .h5 no Keras opens the model, not the one that Keras itself writes either"
    : "As .h5 the model stays Keras 2's, and Keras 3 does not open it";
  return [`${what}: ${named(refusals)}. Write .keras for Keras 3.`];
}

/** Keras 2.13 and later read a `.weights.h5` of Keras 3 too, but for the parts of one layer that it names otherwise. */
function unfoundWarnings(checkpoint: Pick<Checkpoint, "modelConfig" | "kerasVersion">): readonly string[] {
  if (dialectOf(checkpoint).startsWith("keras3")) return [];
  const heads = layerGraph(checkpoint).layers.filter(({ className }) => className === "MultiHeadAttention");
  if (heads.length === 0) return [];
  const listed = named(heads.map(({ path }) => `${path}: MultiHeadAttention`));
  return [`Keras 2 does not find these weights in a .weights.h5: ${listed}. Write .h5 for Keras 2.`];
}

function named(layers: readonly string[]): string {
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
