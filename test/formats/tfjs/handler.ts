/** Reads a model folder as tfjs's own handler for files does. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { tf } from "../../../src/engine/tf.ts";

export function fromFolder(folder: string): tf.io.IOHandler {
  return {
    load: async () => {
      const model = JSON.parse(readFileSync(join(folder, "model.json"), "utf8"));
      return tf.io.getModelArtifactsForJSON(model, async (manifest) => {
        const paths = manifest.flatMap((group) => group.paths);
        const bytes = Buffer.concat(paths.map((path) => readFileSync(join(folder, path))));
        return [manifest.flatMap((group) => group.weights), Uint8Array.from(bytes).buffer];
      });
    },
  };
}
