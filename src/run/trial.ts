/** @file Times the parts of a run on a few of its samples, as the run will compute them. */
import type { Weights } from "../checkpoint.ts";
import { inputsInOrder, sampleCount as samplesIn } from "../data/arrays.ts";
import type { StoredDataset } from "../data/dataset.ts";
import type { SampleBatch, SampleView } from "../data/sample-batches.ts";
import { sampleBatches } from "../data/sample-batches.ts";
import type { SampleReader } from "../data/sample-reader.ts";
import { batchSamples } from "../data/spooled-batches.ts";
import { graphBackend } from "../engine/graph/whole-graph.ts";
import { tf } from "../engine/tf.ts";
import { DataError } from "../errors.ts";
import { computed } from "../features/computation.ts";
import type { CutModel } from "../features/cut.ts";
import { leaveComputed } from "../features/left-work.ts";
import { tensorRows } from "../features/sample-rows.ts";
import { createTrunk, planStaticProgram } from "../features/trunk.ts";
import type { BatchSeconds, MeasuredWork } from "../freeze/predicted-seconds.ts";
import { uploadPadded } from "../model/uploads.ts";
import { requireInputs } from "../task/inputs.ts";
import { outputSizes } from "../task/mask-targets.ts";
import type { Objective } from "../task/objective.ts";
import type { OutputTargets } from "../task/output-targets.ts";
import { sampleTargets } from "../task/sample-targets.ts";
import { checkedTargets } from "../task/targets.ts";
import type { Task } from "../task/task.ts";
import type { InputTensor, Tensor } from "../tensor.ts";
import { float32Tensor } from "../tensor.ts";
import { pickedTargets } from "../training/batches.ts";
import type { Callback } from "../training/callbacks/callback.ts";
import { evaluateExamples } from "../training/epoch-figures.ts";
import type { Examples } from "../training/example-set.ts";
import { sampleCount } from "../training/example-set.ts";
import type { OptimizerConfig } from "../training/optimizer-config.ts";
import { createTail } from "../training/tail.ts";
import { trainEpoch } from "../training/train-epoch.ts";
import { leastSeconds, timedBatches } from "./timed-batches.ts";

/** Seconds that a batch of each part is predicted to take, and an update of the weights. */
export interface ExpectedSeconds {
  readonly static: number;
  readonly step: number;
  readonly forward: number;
  readonly update: number;
}

/** Facts of a cut that are known before its parts are timed. */
export interface TrialQuestion {
  readonly expected: ExpectedSeconds;
  /** Steps that the cut's phase takes on full batches. */
  readonly plannedSteps: number;
}

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
  /** True if the run follows, for which weights stay on the engine and computed samples in memory. */
  readonly isFollowed: boolean;
  /** Seconds that the trial may take. */
  readonly seconds: number;
}

/** Samples that are read for a trial, and repeated as often as a batch needs; where the run follows, those of its first batch. */
const readSamples = 4;
/** Files among which they are looked for: the run itself says what is wrong with those that cannot be used. */
const mostFiles = 64;

/** Some samples as the model takes them. */
interface TrialSamples {
  /** The files with the sha256 of their bytes; none for arrays. */
  readonly files: readonly (readonly [SampleView, string])[];
  readonly inputs: readonly InputTensor[];
  readonly targets: readonly (OutputTargets | null)[];
  readonly count: number;
}

/**
 * Runs the static part and training steps of a cut on a few samples and returns the seconds; null where no sample can be used. The
 * weights that train are copies.
 */
export async function timedWork(
  run: TrialRun,
  cut: CutModel,
  optimizer: OptimizerConfig,
  { expected, plannedSteps }: TrialQuestion,
): Promise<MeasuredWork | null> {
  const samples = await trialSamples(run, cut);
  if (!samples) return null;
  const { static: staticSeconds, examples } = await timedTrunk(run, cut, samples, expected.static);
  return {
    static: staticSeconds,
    ...(await timedTail(run, cut, optimizer, examples, { expected, plannedSteps })),
  };
}

/** Shares of the allowed time: the static part, steps, and inference, which is a part of a step. */
const shares = { trunk: 0.35, step: 0.45, forward: 0.2 } as const;

/** Times the static part, and returns what it makes of the samples. */
async function timedTrunk(
  { weights, extractionBatch, seconds, isFollowed }: TrialRun,
  cut: CutModel,
  samples: TrialSamples,
  expected: number,
): Promise<{ readonly static: BatchSeconds; readonly examples: Examples }> {
  const part = planStaticProgram(cut, weights);
  const trunk = createTrunk(part);
  let features: readonly Tensor[] = [];
  const compute = async (rows: number): Promise<void> => {
    const feeds = samples.inputs.map((input) => uploadPadded(input, 0, Math.min(rows, samples.count), rows));
    const outputs = await trunk.run(feeds);
    features = await Promise.all(
      outputs.map(async (output) => float32Tensor(Float32Array.from(await output.data()), output.shape)),
    );
    tf.dispose([...feeds, ...outputs]);
  };
  try {
    const timed = await timedBatches(compute, {
      most: extractionBatch,
      allowed: shares.trunk * seconds,
      expected,
      isPadded: true,
    });
    const rows = Math.min(features[0]?.shape[0] ?? 0, samples.count);
    const examples = { features: features.map(tensorRows), targets: samples.targets };
    const made = { static: timed, examples: await repeated(examples, rows, rows) };
    if (isFollowed) trunk.leaveWeights();
    else trunk.dispose();
    if (isFollowed && features[0]?.shape[0] === extractionBatch) {
      const values = features.map(({ data }) => data as Float32Array);
      leaveComputed(part, extractionBatch, computed(samples.files, values, extractionBatch));
    }
    return made;
  } catch (error) {
    trunk.dispose();
    throw error;
  }
}

/** Times training steps, and inference, of the dynamic part on batches, as epochs run them. */
async function timedTail(
  { weights, objective, seed, batchSize, seconds }: TrialRun,
  { graph, partition }: CutModel,
  optimizer: OptimizerConfig,
  examples: Examples,
  { expected, plannedSteps }: TrialQuestion,
): Promise<Omit<MeasuredWork, "static">> {
  const stepsOf = new Map<number, number>();
  const tail = createTail({ graph, partition, weights, optimizer, objective, seed, plannedSteps: stepsOf });
  const batches = new Map<number, Promise<Examples>>();
  const batchOf = (rows: number): Promise<Examples> => {
    const batch = batches.get(rows) ?? repeated(examples, sampleCount(examples), rows);
    batches.set(rows, batch);
    return batch;
  };
  const epoch = { phase: 1, epoch: 1, iterations: 0, callbacks: [standingStill], seed };
  let largest = 1;
  const takeStep = async (rows: number): Promise<void> => {
    largest = Math.max(largest, rows);
    await trainEpoch(tail, { ...epoch, examples: await batchOf(rows), batchSize: rows });
  };
  try {
    const step = await timedBatches(takeStep, {
      ...{ most: batchSize, allowed: shares.step * seconds },
      ...{ expected: expected.step, fixed: expected.update },
    });
    // What the run computes as graphs is timed as calls, which need no preparation for each size, and as one graph of the largest.
    stepsOf.set(largest, plannedSteps);
    if (graphBackend()) await takeStep(largest);
    const asCalls = step.perBatch + largest * step.perSample;
    const asGraph = tail.graphs > 0 ? await leastSeconds(() => takeStep(largest), asCalls) : asCalls;
    const share = asCalls > 0 ? Math.min(1, asGraph / asCalls) : 1;
    const perEpoch = await leastSeconds(async () => tail.nonFiniteWeight(), shares.forward * seconds);
    const forward = await timedBatches(async (rows) => evaluateExamples(tail, await batchOf(rows), rows), {
      most: batchSize,
      allowed: shares.forward * seconds,
      expected: expected.forward,
    });
    return {
      step: { perBatch: share * Math.max(0, step.perBatch - perEpoch), perSample: share * step.perSample },
      forward,
      perEpoch,
    };
  } finally {
    tail.dispose();
  }
}

/** Keeps the weights all but where they are, so that no rate makes them overflow on samples that repeat. */
const standingStill: Callback = { name: "trial", learningRate: () => 1e-9 };

/** Returns `rows` samples: the first `count` again and again. */
async function repeated({ features, targets }: Examples, count: number, rows: number): Promise<Examples> {
  const chosen = Uint32Array.from({ length: rows }, (_, row) => row % count);
  const picked = await Promise.all(features.map((source) => source.pick(chosen)));
  return {
    features: picked.map(tensorRows),
    targets: targets.map((own) => own && pickedTargets(own, chosen)),
  };
}

async function trialSamples(run: TrialRun, { graph }: CutModel): Promise<TrialSamples | null> {
  const { dataset, reader, objective, task, imageSize } = run;
  if (dataset.kind === "arrays") {
    const total = batchSamples(dataset);
    const names = graph.inputs.map((input) => input.name);
    return {
      files: [],
      inputs: requireInputs(inputsInOrder(dataset.inputs, names), graph),
      targets: checkedTargets(objective, dataset.targets, total, dataset.sampleWeights),
      count: Math.min(samplesIn(dataset.inputs), readSamples),
    };
  }
  if (!reader) return null;
  const files = dataset.samples.filter(({ split }) => split === "train").slice(0, mostFiles);
  const batch = await firstBatch(files, reader, run.isFollowed ? run.extractionBatch : readSamples);
  if (!batch) return null;
  const used = batch.indices.flatMap((index) => files.slice(index, index + 1));
  const sizes = imageSize ? outputSizes(graph, imageSize) : [];
  const targets = await sampleTargets(dataset, used, task, objective, sizes);
  const hashed = used.flatMap((file, row) =>
    batch.contentHashes.slice(row, row + 1).map((hash) => [file, hash] as const),
  );
  return { files: hashed, inputs: [batch.input], targets, count: used.length };
}

/** Returns the first samples that can be used, null where none can. */
async function firstBatch(
  files: readonly SampleView[],
  reader: SampleReader,
  batchSize: number,
): Promise<SampleBatch | null> {
  try {
    for await (const batch of sampleBatches(files, reader, { batchSize })) return batch;
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
  }
  return null;
}
