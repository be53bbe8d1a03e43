import type { Checkpoint, CheckpointFormat } from "../checkpoint.ts";
import { knownDataset } from "../data/batches.ts";
import type { Dataset, StoredDataset } from "../data/dataset.ts";
import { openData } from "../data/model-files.ts";
import { spoolBatches } from "../data/spooled-batches.ts";
import { defaultCacheDirectory, localFolderOf } from "../features/cache/cache-directory.ts";
import { indexBeside, type RunFiles } from "../features/cache/file-index.ts";
import { defaultFormat } from "../formats/formats.ts";
import { endStage } from "../stages.ts";
import { requireKnownClasses } from "../task/class-weights.ts";
import type { AskedTask, Task } from "../task/task.ts";
import { taskOf } from "../task/task-of.ts";
import { layerGraph } from "../topology/build-graph.ts";
import { requireSupported } from "../topology/support.ts";
import { dataOptions } from "./data-options.ts";
import type { ModelWriting } from "./folder.ts";
import type { HeadForTask } from "./head-for-task.ts";
import { withHeadFor } from "./head-for-task.ts";
import { forRelease, openModel, writingOptions } from "./open-model.ts";
import type { RunSettings } from "./settings.ts";

/** The model of a run with the head that its data needs, and the data. */
export interface TaskModel {
  /** The model as it was read. */
  readonly given: Checkpoint;
  /** The model with its head for the task, before it is changed for the Keras that will open it. */
  readonly headed: Checkpoint;
  /** The model that is trained and written. */
  readonly checkpoint: Checkpoint;
  readonly newHead: HeadForTask["newHead"];
  readonly outputFormat: CheckpointFormat;
  readonly writing: ModelWriting;
  readonly dataset: StoredDataset;
  /** The data's files as the run saw them first; undefined where it has no cache that their hashes are keys of. */
  readonly files: RunFiles | undefined;
  readonly task: Task;
  /** Class names in output order; empty where the model has several outputs. */
  readonly labels: readonly string[];
}

/**
 * Reads the model, lists the data, and gives the model the head that the data needs.
 * @throws {UsageError | TopologyError | KerasFileError | DataError} for what cannot be read, computed, or learned.
 */
export async function openTaskModel(settings: RunSettings): Promise<TaskModel> {
  const given = await openModel(settings);
  endStage("model");
  const files = await knownFiles(settings);
  const dataset =
    typeof settings.data === "string"
      ? await openData(given, settings.data, { ...dataOptions(settings), hashFile: files?.hashOf })
      : await inMemoryOrSpooled(settings.data, settings.cache);
  endStage("data");
  requireSupported(layerGraph(given));
  const task = taskOf(given, dataset, askedTask(settings));
  const { checkpoint: headed, newHead } = withHeadFor(given, task, settings);
  const { classWeight } = settings;
  const outputFormat = settings.outputFormat === "auto" ? defaultFormat(headed) : settings.outputFormat;
  const checkpoint = forRelease(headed, outputFormat, settings);
  const writing = writingOptions(outputFormat, settings);
  if (classWeight !== null && classWeight !== "balanced") requireKnownClasses(classWeight, task);
  const labels = task.outputs.length === 1 ? (task.outputs[0]?.labels ?? []) : [];
  return { given, headed, checkpoint, newHead, outputFormat, writing, dataset, files, task, labels };
}

function askedTask(settings: RunSettings): AskedTask {
  const { loss, lossWeights, metrics, weightedMetrics, task, classes, keepHead, labelSmoothing } = settings;
  const asked = { lossWeights, metrics, weightedMetrics, task, classes };
  const given = Object.entries(asked).filter(([, value]) => value !== null);
  return { ...Object.fromEntries(given), keepHead, labelSmoothing, ...(loss !== "auto" && { loss }) };
}

/**
 * Returns a dataset whose samples can be counted and read in any order: one of batches is read once, its inputs into files beside the
 * cached features.
 */
async function inMemoryOrSpooled(dataset: Dataset, cache: string | false | null): Promise<StoredDataset> {
  const known = knownDataset(dataset);
  return known.kind === "batches" ? spoolBatches(known, localFolderOf(cache)) : known;
}

/** Spares reading files whose hashes are known. What is read now is written down with the features, not before. */
async function knownFiles({ cache }: RunSettings): Promise<RunFiles | undefined> {
  if (cache === false) return undefined;
  return (await indexBeside(cache ?? defaultCacheDirectory())).forRun();
}
