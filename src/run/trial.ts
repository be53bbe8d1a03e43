/** @file Times the parts of a run on a few of its samples, as the run will compute them. */
import type { Weights } from "../checkpoint.ts";
import { inputsInOrder, sampleCount } from "../data/arrays.ts";
import type { StoredDataset } from "../data/dataset.ts";
import { sampleBatches } from "../data/sample-batches.ts";
import type { SampleReader } from "../data/sample-reader.ts";
import { batchSamples } from "../data/spooled-batches.ts";
import { tf } from "../engine/tf.ts";
import type { CutModel } from "../features/cut.ts";
import { tensorRows } from "../features/sample-rows.ts";
import { createTrunk, staticProgram } from "../features/trunk.ts";
import type { BatchSeconds, MeasuredWork } from "../freeze/cost.ts";
import { uploadPadded } from "../model/uploads.ts";
import { requireInputs } from "../task/inputs.ts";
import { outputSizes } from "../task/mask-targets.ts";
import type { Objective } from "../task/objective.ts";
import type { OutputTargets } from "../task/output-targets.ts";
import { sampleTargets } from "../task/sample-targets.ts";
import { checkedTargets } from "../task/targets.ts";
import type { Task } from "../task/task.ts";
import type { InputTensor } from "../tensor.ts";
import { elementCount, float32Tensor } from "../tensor.ts";
import { disposeBatch, uploadBatch } from "../training/batches.ts";
import type { Examples } from "../training/example-set.ts";
import type { OptimizerConfig } from "../training/optimizer-config.ts";
import type { Batch } from "../training/tail.ts";
import { createTail } from "../training/tail.ts";

/** A run whose parts are timed. */
export interface TrialRun {
  readonly dataset: StoredDataset;
  /** Null for arrays. */
  readonly reader: SampleReader | null;
  readonly weights: Weights;
  readonly task: Task;
  readonly objective: Objective;
  readonly seed: number;
  readonly batchSize: number;
  readonly extractionBatch: number;
  readonly imageSize: readonly [number, number] | null;
  /** Seconds that the trial may take. */
  readonly seconds: number;
  /** Bytes that the engine reads and writes in a second, by which an optimizer's update is guessed. */
  readonly bytesPerSecond: number;
}

/** At most so many samples are read for a trial. */
const mostSamples = 16;
/** At most so many seconds a part is expected to take on a batch of several samples, unless the run is long. */
const mostSeconds = 1;

/** Times that a batch is run where it takes little. */
const repetitions = 5;

/** Some samples as the model takes them. */
interface TrialSamples {
  readonly inputs: readonly InputTensor[];
  readonly targets: readonly (OutputTargets | null)[];
  readonly count: number;
}

/**
 * Runs the static part and training steps of a cut on a few samples and returns the seconds; null where no sample can be used. The
 * weights that train are copies.
 * @param updateBytes Bytes that an update of the weights reads and writes.
 */
export async function timedWork(
  run: TrialRun,
  cut: CutModel,
  optimizer: OptimizerConfig,
  updateBytes: number,
): Promise<MeasuredWork | null> {
  const samples = await trialSamples(run, cut);
  if (!samples) return null;
  const trunk = createTrunk(staticProgram(cut, run.weights));
  let features: readonly tf.Tensor[] = [];
  try {
    const compute = async (rows: number): Promise<void> => {
      tf.dispose([...features]);
      const feeds = samples.inputs.map((input) =>
        uploadPadded(input, 0, Math.min(rows, samples.count), rows),
      );
      features = await trunk.run(feeds);
      await Promise.all(features.map((tensor) => tensor.data()));
      tf.dispose(feeds);
    };
    const staticSeconds = await batchSeconds(compute, run.extractionBatch, run.seconds);
    const rows = Math.min(features[0]?.shape[0] ?? 0, samples.count);
    const examples = await examplesOf(features, samples.targets, rows);
    return {
      static: staticSeconds,
      ...(await timedTail(run, cut, optimizer, examples, rows, updateBytes / run.bytesPerSecond)),
    };
  } finally {
    tf.dispose([...features]);
    trunk.dispose();
  }
}

/** Times training steps, and inference, of the dynamic part on `rows` samples that are repeated as often as a batch needs. */
async function timedTail(
  { weights, objective, seed, batchSize, seconds }: TrialRun,
  { graph, partition }: CutModel,
  optimizer: OptimizerConfig,
  examples: Examples,
  rows: number,
  updateSeconds: number,
): Promise<Pick<MeasuredWork, "step" | "forward">> {
  const tail = createTail({ graph, partition, weights, optimizer, objective, seed });
  const withBatch = async (count: number, use: (batch: Batch) => Promise<unknown>) => {
    const batch = await uploadBatch(
      examples,
      Uint32Array.from({ length: count }, (_, row) => row % rows),
    );
    await use(batch);
    disposeBatch(batch);
  };
  try {
    const step = await batchSeconds(
      (count) => withBatch(count, (batch) => tail.trainOnBatch(batch)),
      batchSize,
      seconds,
      updateSeconds,
    );
    const forward = await batchSeconds(
      (count) => withBatch(count, (batch) => tail.evaluateBatch(batch)),
      batchSize,
      seconds,
    );
    return { step, forward };
  } finally {
    tail.dispose();
  }
}

/**
 * Returns the seconds of a batch, and of each of its samples, from batches that grow up to `most` while they take little of the
 * allowed time. Of one size alone, `fixedSeconds` are taken as the batch's.
 */
async function batchSeconds(
  run: (rows: number) => Promise<void>,
  most: number,
  allowed: number,
  fixedSeconds = 0,
): Promise<BatchSeconds> {
  const once = async (rows: number): Promise<number> => {
    const started = performance.now();
    await run(rows);
    return (performance.now() - started) / 1000;
  };
  // Other work of the machine only adds to a time: the least of a few is the nearest, where they cost little.
  const timed = async (rows: number): Promise<number> => {
    let least = await once(rows);
    let spent = least;
    for (let again = 1; again < repetitions && spent + least < allowed / 4; again++) {
      const seconds = await once(rows);
      spent += seconds;
      least = Math.min(least, seconds);
    }
    return least;
  };
  await once(1);
  const points: (readonly [rows: number, seconds: number])[] = [];
  for (let rows = 1; ; ) {
    const seconds = await timed(rows);
    points.push([rows, seconds]);
    const next = nextRows(points, most, allowed);
    if (next === rows) break;
    rows = next;
  }
  const [[fewest, least] = [1, 0]] = points;
  const [largest, longest] = points.at(-1) ?? [1, 0];
  const mean = longest / largest;
  if (largest === fewest) {
    const perBatch = Math.min(fixedSeconds, 0.6 * longest);
    return { perBatch, perSample: (longest - perBatch) / largest };
  }
  const perSample = Math.min(mean, Math.max((longest - least) / (largest - fewest), 0));
  return { perBatch: longest - largest * perSample, perSample };
}

/** Returns the size of the next batch that is tried, the last one's where that was the last. */
function nextRows(
  points: readonly (readonly [rows: number, seconds: number])[],
  most: number,
  allowed: number,
): number {
  const [rows, seconds] = points.at(-1) ?? [1, 0];
  const [fewer, less] = points.at(-2) ?? [0, 0];
  const next = Math.min(most, rows === 1 ? 2 : 4 * rows);
  const expected = seconds + (Math.max(0, seconds - less) / (rows - fewer)) * (next - rows);
  const bound = rows === 1 ? allowed / 2 : Math.min(mostSeconds, allowed / 2);
  return expected <= bound ? next : rows;
}

async function trialSamples(run: TrialRun, { graph }: CutModel): Promise<TrialSamples | null> {
  const { dataset, reader, objective, task, imageSize } = run;
  if (dataset.kind === "arrays") {
    const total = batchSamples(dataset);
    const names = graph.inputs.map((input) => input.name);
    return {
      inputs: requireInputs(inputsInOrder(dataset.inputs, names), graph),
      targets: checkedTargets(objective, dataset.targets, total, dataset.sampleWeights),
      count: Math.min(sampleCount(dataset.inputs), mostSamples),
    };
  }
  if (!reader) return null;
  const files = dataset.samples.filter(({ split }) => split === "train").slice(0, mostSamples);
  for await (const { input, indices } of sampleBatches(files, reader, { batchSize: mostSamples })) {
    const used = indices.flatMap((index) => files.slice(index, index + 1));
    const sizes = imageSize ? outputSizes(graph, imageSize) : [];
    const targets = await sampleTargets(dataset, used, task, objective, sizes);
    return { inputs: [input], targets, count: used.length };
  }
  return null;
}

async function examplesOf(
  features: readonly tf.Tensor[],
  targets: TrialSamples["targets"],
  rows: number,
): Promise<Examples> {
  const tensors = await Promise.all(
    features.map(async (tensor) => {
      const rowShape = tensor.shape.slice(1);
      const values = Float32Array.from(await tensor.data());
      return float32Tensor(values.subarray(0, rows * elementCount(rowShape)), [rows, ...rowShape]);
    }),
  );
  return { features: tensors.map(tensorRows), targets };
}
