import type { Checkpoint, Weight } from "../checkpoint.ts";
import { translateCompileConfig } from "../topology/translate/compile-config.ts";
import { type Dialect, dialectOf } from "../topology/translate/dialect.ts";
import { translateConfig } from "../topology/translate/translate-config.ts";

/** The Keras whose dialect a translated model is in. */
const currentKeras = "3.15.1";

/**
 * The checkpoint as a file of that dialect holds it: config and compile config translated, weights and notes under the new
 * layer paths. The optimizer's variables are kept only within one dialect: another orders them otherwise.
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
    kerasVersion:
      from === "keras1" || from === "keras2" ? versionIn(checkpoint, to) : checkpoint.kerasVersion,
    modelConfig,
    weights,
    ...(training && { trainingConfig: training }),
    ...(optimizerWeights && from === to && { optimizerWeights }),
    notes: newLayers ? { ...notes, newLayers: newLayers.map(path) } : notes,
  };
}

function versionIn(checkpoint: Checkpoint, to: Dialect): string {
  return to === "keras3" || to === "keras3-h5" ? currentKeras : checkpoint.kerasVersion;
}
