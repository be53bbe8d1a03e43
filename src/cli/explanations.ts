import { mkdirSync, writeFileSync } from "node:fs";
import { basename, extname, join } from "node:path";
import { freeName, openFileExplainer, portableName } from "../cli-api.ts";
import type { Checkpoint, FilePrediction } from "../index.ts";
import type { GivenOptions } from "./command.ts";
import { picked } from "./command.ts";

/** Writes images that explain predictions. */
export interface Explanations {
  /** Writes the image that explains what was predicted first, and returns its path. */
  write(prediction: FilePrediction): Promise<string>;
  dispose(): void;
}

/** Makes the folder, and puts the model on the engine for its gradients. */
export async function openExplanations(
  checkpoint: Checkpoint,
  { output, out = "explained", ...options }: GivenOptions & { readonly output?: string | undefined },
): Promise<Explanations> {
  const explainer = await openFileExplainer(checkpoint, {
    ...picked(options, "imageSize", "preprocess", "exif"),
    output,
  });
  mkdirSync(out, { recursive: true });
  const taken = new Set<string>();
  return {
    write: async ({ path }) => {
      const { overlay } = await explainer.explain(path);
      const name = freeName(portableName(basename(path, extname(path))), taken);
      const target = join(out, `${name}.png`);
      writeFileSync(target, await overlay());
      return target;
    },
    dispose: explainer.dispose,
  };
}
