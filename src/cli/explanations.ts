import { mkdirSync, writeFileSync } from "node:fs";
import { basename, extname, join } from "node:path";
import { openFileExplainer } from "../cli-api.ts";
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
      const name = freeName(basename(path, extname(path)), taken);
      taken.add(name);
      const target = join(out, `${name}.png`);
      writeFileSync(target, await overlay());
      return target;
    },
    dispose: explainer.dispose,
  };
}

/** Returns the name, with a number where another file of this run has it. */
function freeName(name: string, taken: ReadonlySet<string>): string {
  for (let number = 1; ; number++) {
    const candidate = number === 1 ? name : `${name}-${number}`;
    if (!taken.has(candidate)) return candidate;
  }
}
