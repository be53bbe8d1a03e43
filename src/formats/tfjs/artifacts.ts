import type { Checkpoint, JsonObject, Weight } from "../../checkpoint.ts";
import { tfjsModel } from "../../topology/translate/tfjs/tfjs-model.ts";
import { notesKey, writeNotes } from "../notes.ts";
import { type TfjsTensors, tfjsTensors } from "./tensors.ts";

/** A model in the form that `tf.loadLayersModel` takes, its weights still in pieces. */
export interface TfjsArtifacts extends TfjsTensors {
  /** The `modelTopology` of a model.json. */
  readonly modelTopology: JsonObject;
  /** The `userDefinedMetadata` of a model.json. */
  readonly userDefinedMetadata?: JsonObject;
}

/** The release in whose vocabulary the config is. */
const tfjsLayersVersion = "tfjs-layers 4.22.0";

/**
 * Converts a checkpoint to tfjs-layers. Compile config and optimizer are left out.
 * @throws {TopologyError} naming a layer that tfjs-layers cannot represent or computes differently.
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
