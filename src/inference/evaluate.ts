import type { Checkpoint } from "../checkpoint.ts";
import { inputsInOrder, sampleCount } from "../data/arrays.ts";
import { knownDataset } from "../data/batches.ts";
import type { ArrayDataset, Batch, Dataset, FileDataset, Split } from "../data/dataset.ts";
import type { FileOptions } from "../data/model-files.ts";
import { fileChecks, fileReader } from "../data/model-files.ts";
import { sampleBatches } from "../data/sample-batches.ts";
import type { BadFile } from "../data/sample-reader.ts";
import { servingData } from "../data/text-model.ts";
import { DataError, UsageError } from "../errors.ts";
import type { OptionChecks } from "../options.ts";
import { oneOf, requireOptions } from "../options.ts";
import type { ClassFigures } from "../task/class-figures.ts";
import { confusionKeeper, labelsOf } from "../task/confusion.ts";
import { requireInputs } from "../task/inputs.ts";
import { outputSizes } from "../task/mask-targets.ts";
import type { MetricValue } from "../task/metrics/metric.ts";
import type { Objective } from "../task/objective.ts";
import { objectiveOf } from "../task/objective.ts";
import type { OutputTargets } from "../task/output-targets.ts";
import { sampleTargets } from "../task/sample-targets.ts";
import { scoreKeeper } from "../task/score-keeper.ts";
import { checkedTargets } from "../task/targets.ts";
import type { AskedTask, Task } from "../task/task.ts";
import { taskOf } from "../task/task-of.ts";
import type { InputTensor, Tensor } from "../tensor.ts";
import { layerGraph } from "../topology/build-graph.ts";
import { packageWarnings } from "../topology/dialects/package-layers.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";
import type { BatchLimits } from "./batch-size.ts";
import { batchSizeWithin } from "./batch-size.ts";
import { openJudge } from "./judge.ts";
import { requireKnownNames, requireServed } from "./served.ts";

export interface EvaluateOptions extends FileOptions {
  /** For every output, or by output name. By the file, the head and the targets where absent. */
  readonly loss?: AskedTask["loss"];
  readonly lossWeights?: AskedTask["lossWeights"];
  /** For every output, or by output name. */
  readonly metrics?: AskedTask["metrics"];
  readonly weightedMetrics?: AskedTask["weightedMetrics"];
  readonly task?: AskedTask["task"];
  /** Defaults to all samples. */
  readonly split?: Split | "all" | undefined;
}

const evaluateChecks: OptionChecks<EvaluateOptions> = {
  ...fileChecks,
  loss: null,
  lossWeights: null,
  metrics: null,
  weightedMetrics: null,
  task: null,
  split: oneOf("train", "val", "test", "all"),
};

/** One thing for an output, or one for each of several by their names. */
export type PerOutput<T> = T | Readonly<Record<string, T>>;

export interface Evaluation {
  /** Samples that were judged. */
  readonly samples: number;
  /** Class names in output order, numbers where nothing names them; empty where there are no classes. */
  readonly labels: PerOutput<readonly string[]>;
  /** Mean over the samples, with what regularizers add to it, as in Keras's `evaluate`. */
  readonly loss: number;
  /** Every figure of Keras's `evaluate(return_dict=True)` but the loss, by its name. */
  readonly metrics: Readonly<Record<string, MetricValue>>;
  /** `confusion[truth][predicted]` in output order, where there are classes. */
  readonly confusion?: PerOutput<readonly (readonly number[])[]>;
  /** Figures of each class or label, where there are any. */
  readonly perClass?: PerOutput<readonly ClassFigures[]>;
  /** Files that could not be used. */
  readonly bad: readonly BadFile[];
}

interface Rows {
  readonly inputs: readonly InputTensor[];
  readonly targets: readonly (OutputTargets | null)[];
}

/**
 * Returns how well a model does on the samples of `dataset`, in inference mode: its loss and metrics by the task that the caller, the
 * file, the head and the targets say. Images are preprocessed as their file or family says; classes are matched to the
 * model's by name where the model knows its labels.
 * @throws {UsageError} for a model whose outputs do not serve the data, or classes that are not the model's.
 * @throws {DataError} for targets that the losses do not take, and where no file can be used.
 *
 * @example
 * const { loss, metrics } = await evaluate(checkpoint, await imageFolder("photos/"));
 * console.log(loss, metrics["accuracy"]);
 */
export async function evaluate(
  model: Checkpoint,
  given: Dataset,
  options: EvaluateOptions = {},
): Promise<Evaluation> {
  requireOptions(options, evaluateChecks);
  const dataset = knownDataset(given);
  const checkpoint = servingData(model, dataset);
  const { loss, lossWeights, metrics, weightedMetrics, task: name, split = "all" } = options;
  const [first, batches] = await opened(dataset, split);
  const asked = { loss, lossWeights, metrics, weightedMetrics, task: name, keepHead: true };
  requireKnownNames(checkpoint, first);
  const task = taskOf(checkpoint, first, asked);
  const graph = layerGraph(checkpoint);
  requireServed(task, graph, first);
  const objective = objectiveOf(task, graph, checkpoint.kerasVersion);
  const judge = await openJudge(checkpoint, objective);
  const bad: BadFile[] = [];
  try {
    const scores = scoreKeeper(objective);
    const tables = objective.outputs.map((output, index) => {
      const own = task.outputs[index];
      return own ? confusionKeeper(own, output) : null;
    });
    let samples = 0;
    const rows =
      dataset.kind === "images" || dataset.kind === "texts"
        ? fileRows(dataset, checkpoint, { task, objective }, options, bad)
        : batchRows(batches, graph, objective, options);
    for await (const { inputs, targets } of rows) {
      const judged = await judge.run(inputs, targets);
      scores.add(judged, judged.penalty);
      for (const [index, table] of tables.entries()) {
        const observed = judged.observed[index];
        if (observed) table?.add(observed);
      }
      samples += judged.samples;
      options.onProgress?.(samples + bad.length, countIn(dataset, split));
    }
    if (samples === 0) throw new DataError("data: expected a sample to evaluate, got none.", "no-samples");
    const { loss: total, ...figures } = scores.figures();
    return { samples, ...named(task, tables), loss: total, metrics: figures, bad };
  } finally {
    judge.dispose();
  }
}

/** Returns a dataset to decide the task by, and the batches to judge. */
async function opened(
  dataset: Dataset,
  split: Split | "all",
): Promise<readonly [Dataset, AsyncIterable<Batch> | Iterable<Batch>]> {
  switch (dataset.kind) {
    case "arrays": {
      const parts = partsOf(dataset, split);
      return [dataset, parts];
    }
    case "batches": {
      const source = split === "val" ? dataset.validation : dataset;
      if (!source) throw new UsageError(`split: expected batches of ${split}, got none.`, "split", "split");
      for await (const batch of source) {
        const { classNames } = dataset;
        return [{ kind: "arrays", ...batch, ...(classNames && { classNames }) }, source];
      }
      throw new DataError("data: expected a batch, got none.", "no-samples");
    }
    default: {
      const samples = dataset.samples.filter((sample) => split === "all" || sample.split === split);
      if (samples.length > 0) return [{ ...dataset, samples }, []];
      throw new UsageError(`split: expected samples of ${split}, got none.`, "split", "split");
    }
  }
}

function partsOf({ validation, test, ...train }: ArrayDataset, split: Split | "all"): readonly Batch[] {
  const parts = { train, val: validation, test };
  const wanted = split === "all" ? Object.values(parts) : [parts[split]];
  const found = wanted.filter((part) => part !== undefined);
  if (found.length > 0) return found;
  throw new UsageError(`split: expected samples of ${split}, got none.`, "split", "split");
}

function countIn(dataset: Dataset, split: Split | "all"): number {
  switch (dataset.kind) {
    case "arrays":
      return partsOf(dataset, split).reduce((sum, { inputs }) => sum + sampleCount(inputs), 0);
    case "batches":
      return Number.NaN;
    default:
      return dataset.samples.filter((sample) => split === "all" || sample.split === split).length;
  }
}

/** Keys by output name where there are several outputs. */
function named(
  { outputs }: Task,
  tables: readonly ReturnType<typeof confusionKeeper>[],
): Pick<Evaluation, "labels" | "confusion" | "perClass"> {
  const labels = outputs.map((output) =>
    output.kind === "values" || output.units === null ? [] : labelsOf(output, output.units),
  );
  const confusions = tables.map((table) => table?.confusion());
  const figures = tables.map((table) => table?.perClass());
  if (outputs.length === 1) {
    const [confusion] = confusions;
    const [perClass] = figures;
    return { labels: labels[0] ?? [], ...(confusion && { confusion }), ...(perClass && { perClass }) };
  }
  const byName = <T>(values: readonly (T | undefined)[]): Readonly<Record<string, T>> =>
    Object.fromEntries(
      outputs.flatMap(({ name }, index) => {
        const value = values[index];
        return value === undefined ? [] : [[name, value] as const];
      }),
    );
  return { labels: byName(labels), confusion: byName(confusions), perClass: byName(figures) };
}

async function* fileRows(
  dataset: FileDataset,
  checkpoint: Checkpoint,
  { task, objective }: { readonly task: Task; readonly objective: Objective },
  options: EvaluateOptions,
  bad: BadFile[],
): AsyncGenerator<Rows> {
  const { split = "all" } = options;
  const samples = dataset.samples.filter((sample) => split === "all" || sample.split === split);
  for (const warning of packageWarnings(layerGraph(checkpoint))) options.onWarning?.(warning);
  const reader = fileReader(dataset.kind, layerGraph(checkpoint), checkpoint.notes, options);
  const [height = 1, width = 1] = reader.sampleShape;
  const sizes = outputSizes(layerGraph(checkpoint), [height, width]);
  const batches = sampleBatches(samples, reader, {
    batchSize: batchSizeWithin(layerGraph(checkpoint), options, [height, width]),
    strict: options.strictData,
    onSample: ({ path, reason }) => {
      if (reason !== undefined) bad.push({ path, reason });
    },
  });
  for await (const { input, indices } of batches) {
    const own = indices.flatMap((index) => samples[index] ?? []);
    yield { inputs: [input], targets: await sampleTargets(dataset, own, task, objective, sizes) };
  }
}

async function* batchRows(
  batches: AsyncIterable<Batch> | Iterable<Batch>,
  graph: LayerGraph,
  objective: Objective,
  limits: BatchLimits,
): AsyncGenerator<Rows> {
  const names = graph.inputs.map((input) => input.name);
  for await (const { inputs: given, targets, sampleWeights } of batches) {
    const samples = sampleCount(given);
    const inputs = requireInputs(inputsInOrder(given, names), graph);
    const checked = checkedTargets(objective, targets, samples, sampleWeights);
    const [, height = 1, width = 1] = inputs[0]?.shape ?? [];
    const batchSize = batchSizeWithin(graph, limits, [height, width]);
    for (let from = 0; from < samples; from += batchSize) {
      const to = Math.min(from + batchSize, samples);
      yield {
        inputs: inputs.map((input) => rowsOf(input, from, to)),
        targets: checked.map(
          (own) =>
            own && {
              targets: rowsOf(own.targets, from, to),
              ...(own.weights && { weights: rowsOf(own.weights, from, to) }),
            },
        ),
      };
    }
  }
}

function rowsOf<T extends InputTensor | Tensor>(tensor: T, from: number, to: number): T {
  const shape = [to - from, ...tensor.shape.slice(1)];
  const width = tensor.data.length / (tensor.shape[0] ?? 1);
  const data =
    tensor.dtype === "string"
      ? tensor.data.slice(from * width, to * width)
      : (tensor.data as Float32Array).subarray(from * width, to * width);
  return { ...tensor, shape, data };
}
