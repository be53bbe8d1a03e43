import type { io } from "@tensorflow/tfjs-core";
import type { LayersModel } from "@tensorflow/tfjs-layers";
import { tf } from "./tf.ts";

export type { LayersModel };

/**
 * Loads a model into tfjs-layers, on the current engine. Its variables are the caller's to dispose.
 * @throws any error of tfjs-layers for a config that it does not know.
 */
export async function loadLayersModel(artifacts: io.ModelArtifacts): Promise<LayersModel> {
  const layers = await import("@tensorflow/tfjs-layers");
  return layers.loadLayersModel(tf.io.fromMemory(artifacts));
}
