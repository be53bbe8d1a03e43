import type { io } from "@tensorflow/tfjs-core";
import type { LayersModel } from "@tensorflow/tfjs-layers";
import { tf } from "./tf.ts";

export type { LayersModel };

/**
 * The model that tfjs-layers makes of these artifacts, on the engine that runs. Its variables are the caller's to dispose.
 * @throws what tfjs-layers throws for a config that it does not know.
 */
export async function loadLayersModel(artifacts: io.ModelArtifacts): Promise<LayersModel> {
  const layers = await import("@tensorflow/tfjs-layers");
  return layers.loadLayersModel(tf.io.fromMemory(artifacts));
}
