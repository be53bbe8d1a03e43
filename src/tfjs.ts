import type { Checkpoint } from "./checkpoint.ts";
import { ensureEngine } from "./engine/backend.ts";
import { type LayersModel, loadLayersModel } from "./engine/layers-model.ts";
import { tfjsArtifacts } from "./formats/tfjs/artifacts.ts";

/** @file The package's entry `keras-finetune/tfjs`, apart from the main one so that this has no types of tfjs. */

export type { LayersModel };

/**
 * Converts a model to a `tf.LayersModel` of tfjs-layers with equal predictions, on the current engine. It is not compiled. The
 * caller disposes it.
 * @example
 * const model = await toLayersModel(await readCheckpoint("resnet50.keras"));
 * const logits = model.predict(images);
 * @throws {TopologyError} naming the layer that tfjs-layers cannot represent.
 */
export async function toLayersModel(checkpoint: Checkpoint): Promise<LayersModel> {
  await ensureEngine();
  const { modelTopology, specs, chunks } = tfjsArtifacts(checkpoint);
  const weightData = Uint8Array.from(Buffer.concat(chunks)).buffer;
  return loadLayersModel({ modelTopology, weightSpecs: specs.map((spec) => ({ ...spec })), weightData });
}
