import type { Checkpoint, JsonObject, Weight } from "../../checkpoint.ts";
import { tfjsModel } from "../../topology/translate/tfjs/tfjs-model.ts";
import { notesKey, writeNotes } from "../notes.ts";
import { type TfjsTensors, tfjsTensors } from "./tensors.ts";

/** A model as `tf.loadLayersModel` takes it, its weights still in pieces. */
export interface TfjsArtifacts extends TfjsTensors {
  /** `modelTopology` of a model.json. */
  readonly modelTopology: JsonObject;
  /** `userDefinedMetadata` of a model.json. */
  readonly userDefinedMetadata?: JsonObject;
}

/** Whose words the config is in. */
const tfjsLayersVersion = "tfjs-layers 4.22.0";

/**
 * The checkpoint in tfjs-layers's words, where tfjs-layers computes the same. Its compile config and optimizer stay behind.
 * @throws {TopologyError} naming the layer that tfjs-layers cannot represent.
 */
export function tfjsArtifacts(checkpoint: Checkpoint): TfjsArtifacts {
  const { modelConfig, weights, renamed } = tfjsModel(checkpoint);
  const { newLayers, ...notes } = checkpoint.notes;
  const json = writeNotes({
    ...notes,
    ...(newLayers && { newLayers: newLayers.map((path) => renamed.get(path) ?? path) }),
  });
  return {
    modelTopology: { keras_version: tfjsLayersVersion, backend: "tensorflow", model_config: modelConfig },
    ...tfjsTensors(
      weights.map(({ name, layer, weight, shape }) => ({
        ...weightOf(checkpoint, layer, weight),
        ...(shape && { shape }),
        name,
      })),
    ),
    ...(json && { userDefinedMetadata: { [notesKey]: json } }),
  };
}

function weightOf({ weights }: Checkpoint, layer: string, name: string): Weight {
  return weights.get(layer)!.find((weight) => weight.name === name)!;
}
