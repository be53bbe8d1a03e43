/** @file Heatmaps of the mistakes that a report shows. */
import type { Checkpoint } from "../checkpoint.ts";
import type { StoredDataset } from "../data/dataset.ts";
import { DataError, TopologyError } from "../errors.ts";
import { openFileExplainer } from "../inference/explain-files.ts";
import type { OutputReport, SplitReport } from "../report/run-report.ts";
import type { Task } from "../task/task.ts";
import { countOf } from "./cost.ts";
import type { DecidedSettings } from "./decided-settings.ts";

/** At most so many mistakes of an output are explained: each runs the whole model once more. */
const mostExplained = 8;

/** Returns the number of heatmaps that a report makes if every validation sample is a mistake. */
export function explainedCount({ outputs }: Task, dataset: StoredDataset): number {
  if (dataset.kind !== "images") return 0;
  const explained = Math.min(mostExplained, countOf(dataset, "val"));
  return explained * outputs.filter(({ kind, perPosition }) => kind === "classes" && !perPosition).length;
}

/**
 * Adds to the worst mistakes of each output the image under a heatmap of where the tuned model saw what it predicts. Mistakes are named
 * by the paths of their files. They stay as they are where the model has no features with positions.
 */
export async function withHeatmaps(
  judged: SplitReport,
  checkpoint: Checkpoint,
  settings: DecidedSettings,
): Promise<SplitReport> {
  const outputs: OutputReport[] = [];
  for (const output of judged.outputs) {
    const { mistakes = [] } = output;
    // A mistake of several labels is about one of them, which need not be the one that the heatmap is of.
    const explained = output.kind === "classes" ? mistakes.slice(0, mostExplained) : [];
    const worst = explained.map(({ name }) => name);
    // A lone output may have another name in the tuned model, whose head is new.
    const name = judged.outputs.length > 1 ? output.name : undefined;
    const heatmaps = await heatmapsOf(checkpoint, worst, name, settings);
    outputs.push(
      heatmaps.size === 0
        ? output
        : {
            ...output,
            mistakes: mistakes.map((note) => {
              const heatmap = heatmaps.get(note.name);
              return heatmap === undefined ? note : { ...note, heatmap };
            }),
          },
    );
  }
  return { ...judged, outputs };
}

/** Returns small images by path, as data URIs. */
async function heatmapsOf(
  checkpoint: Checkpoint,
  paths: readonly string[],
  output: string | undefined,
  { imageSize, preprocess, exif }: DecidedSettings,
): Promise<ReadonlyMap<string, string>> {
  const images = new Map<string, string>();
  if (paths.length === 0 || !imageSize || preprocess === null) return images;
  try {
    const explainer = await openFileExplainer(checkpoint, {
      ...(output !== undefined && { output }),
      ...{ imageSize, preprocess, exif },
    });
    try {
      for (const path of paths) images.set(path, await (await explainer.explain(path)).thumbnail());
    } finally {
      explainer.dispose();
    }
  } catch (error) {
    if (!(error instanceof TopologyError || error instanceof DataError)) throw error;
  }
  return images;
}
