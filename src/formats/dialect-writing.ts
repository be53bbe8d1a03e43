import type { Checkpoint, CheckpointFormat, Weight } from "../checkpoint.ts";
import { changesInKeras3, type Keras3Release } from "../topology/translate/changes-in-keras3.ts";
import { translateCompileConfig } from "../topology/translate/compile-config.ts";
import { type Dialect, dialectOf } from "../topology/translate/dialect.ts";
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
    ...(optimizerWeights && from !== "keras2-archive" && sameKeras(from, to) && { optimizerWeights }),
    notes: newLayers ? { ...notes, newLayers: newLayers.map(path) } : notes,
  };
}

/** More layers than these are counted. */
const namedChanges = 5;

/** What to say of a checkpoint before it is written in that format: what the Keras that will open it computes otherwise. */
export function writingWarnings(
  checkpoint: Pick<Checkpoint, "modelConfig" | "kerasVersion">,
  format: CheckpointFormat,
  release: Keras3Release = "current",
): readonly string[] {
  const changes = format === "keras" ? changesInKeras3(checkpoint, release) : [];
  if (changes.length === 0) return [];
  const others = changes.length - namedChanges;
  const more = others > 0 ? [`${others} more ${others === 1 ? "layer" : "layers"} like these`] : [];
  const listed = [...changes.slice(0, namedChanges), ...more].join("; ");
  const isKeras3 = checkpoint.kerasVersion.startsWith("3");
  const opener = release === "early" ? "in Keras 3.0" : isKeras3 ? `in Keras ${dialectVersion}` : "";
  const advice = isKeras3
    ? `Open it in Keras ${checkpoint.kerasVersion} to keep its numbers`
    : "Write .h5 to keep its numbers";
  return [
    `As .keras the model computes otherwise${opener && ` ${opener}`} than in Keras ${checkpoint.kerasVersion}: ${listed}. ${advice}, or tune it in the new form.`,
  ];
}

function sameKeras(from: Dialect, to: Dialect): boolean {
  return (
    from === to ||
    (from.startsWith("keras3") && to.startsWith("keras3")) ||
    (from === "keras2-archive" && to === "keras2")
  );
}
