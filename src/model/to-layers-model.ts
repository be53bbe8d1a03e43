import type { Checkpoint } from "../checkpoint.ts";
import { ensureEngine } from "../engine/backend.ts";
import { type LayersModel, loadLayersModel } from "../engine/layers-model.ts";
import { tfjsArtifacts } from "../formats/tfjs/artifacts.ts";

/**
 * The model as a `tf.LayersModel` of tfjs-layers, with equal predictions, on the engine that runs; not compiled. The caller
 * disposes it.
 * @throws {TopologyError} naming the layer that tfjs-layers cannot represent.
 */
export async function toLayersModel(checkpoint: Checkpoint): Promise<LayersModel> {
  await ensureEngine();
  const { modelTopology, specs, chunks } = tfjsArtifacts(checkpoint);
  const weightData = Uint8Array.from(Buffer.concat(chunks)).buffer;
  return loadLayersModel({ modelTopology, weightSpecs: specs.map((spec) => ({ ...spec })), weightData });
}
