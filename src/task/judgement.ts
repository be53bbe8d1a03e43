/** @file The losses of a batch, their gradients, and what its metrics are computed from. */
import { takeScalars } from "../engine/scalars.ts";
import { tf } from "../engine/tf.ts";
import { repeatable } from "../engine/webgpu/repeatable.ts";
import type { Tensor } from "../tensor.ts";
import { toFloat32 } from "../tensor.ts";
import type { Judged } from "./losses/batch-loss.ts";
import { batchLoss, lossGradient } from "./losses/batch-loss.ts";
import type { Output } from "./losses/output.ts";
import { activated } from "./losses/output.ts";
import type { MetricBatch, Values } from "./metrics/metric.ts";
import type { Objective, OutputObjective } from "./objective.ts";
import type { OutputTargets } from "./output-targets.ts";

/** One output of a batch as the model gave it. The caller's. */
export interface GivenOutput extends Output {
  readonly mask?: tf.Tensor | undefined;
}

/** Targets of one output of a batch on the engine. */
export interface UploadedTargets {
  readonly targets: tf.Tensor;
  readonly weights: tf.Tensor | null;
}

/** The figures of one batch, off the engine. */
export interface BatchScores {
  readonly samples: number;
  /** The weighted sum of the outputs' losses, without what regularizers add. */
  readonly loss: number;
  /** Each output's own loss; null where it has none. */
  readonly losses: readonly (number | null)[];
  /** Values that each output's metrics are computed from; null if it has none. */
  readonly observed: readonly (MetricBatch | null)[];
}

export interface JudgeOptions {
  readonly gradients?: boolean;
  /** Reads every output, also one that no metric is computed from. */
  readonly observed?: boolean;
}

/**
 * Returns the figures of a batch, and with `gradients` the gradient of its loss by each output's values, which is the caller's.
 * An output without a loss has a gradient of zeros.
 *
 * @param targets one for each output; null where the output has no loss.
 */
export async function judge(
  objective: Objective,
  given: readonly GivenOutput[],
  targets: readonly (OutputTargets | null)[],
  options: JudgeOptions = {},
): Promise<{ readonly scores: BatchScores; readonly gradients: readonly tf.Tensor[] }> {
  const parts = await judgedParts(objective, given, targets, options);
  const scores = await takeScores(objective, sampleCount(given), targets, parts);
  return { scores, gradients: gradientsIn(parts) };
}

/** Returns the gradients of `judge`, with figures that may come in a later turn: on a GPU, other work can follow before they do. */
export async function judgeAhead(
  objective: Objective,
  given: readonly GivenOutput[],
  targets: readonly (OutputTargets | null)[],
): Promise<{ readonly scores: Promise<BatchScores>; readonly gradients: readonly tf.Tensor[] }> {
  const parts = await judgedParts(objective, given, targets, { gradients: true });
  return {
    scores: takeScores(objective, sampleCount(given), targets, parts),
    gradients: gradientsIn(parts),
  };
}

async function judgedParts(
  objective: Objective,
  given: readonly GivenOutput[],
  targets: readonly (OutputTargets | null)[],
  options: JudgeOptions,
): Promise<JudgedOutput[]> {
  const uploads = uploadedTargets(objective, targets);
  try {
    return await repeatable(() => judgedOutputs(objective, given, uploads, options));
  } finally {
    disposeTargets(uploads);
  }
}

/** Puts the targets of the outputs that have a loss on the engine. The caller's. */
export function uploadedTargets(
  { outputs }: Objective,
  targets: readonly (OutputTargets | null)[],
): readonly (UploadedTargets | null)[] {
  return outputs.map(({ loss }, index) => {
    const should = targets[index];
    if (!loss || !should) return null;
    return { targets: uploaded(should.targets), weights: should.weights ? uploaded(should.weights) : null };
  });
}

export function disposeTargets(uploads: readonly (UploadedTargets | null)[]): void {
  for (const own of uploads) tf.dispose(own ? [own.targets, ...(own.weights ? [own.weights] : [])] : []);
}

/** Judges outputs on the engine. The results are the caller's. */
export function judgedOutputs(
  { outputs, meanOver }: Objective,
  given: readonly GivenOutput[],
  targets: readonly (UploadedTargets | null)[],
  { gradients = false, observed = false }: JudgeOptions,
): JudgedOutput[] {
  return outputs.map((output, index) => {
    const judgedOutput = given[index];
    const should = targets[index] ?? null;
    if (!judgedOutput) throw new Error(`objective: no output ${output.name}`);
    return tf.tidy(
      () =>
        judgeOutput(output, judgedOutput, should, {
          ...{ meanOver, gradients, observed },
        }) as unknown as tf.TensorContainer,
    ) as unknown as JudgedOutput;
  });
}

function sampleCount([first]: readonly GivenOutput[]): number {
  return first?.values.shape[0] ?? 0;
}

function gradientsIn(parts: readonly JudgedOutput[]): tf.Tensor[] {
  return parts.flatMap(({ gradient }) => gradient ?? []);
}

/** Reads the figures of judged outputs and releases what they are read from. */
export async function takeScores(
  { outputs }: Objective,
  samples: number,
  targets: readonly (OutputTargets | null)[],
  parts: readonly JudgedOutput[],
): Promise<BatchScores> {
  const [losses, read] = await Promise.all([
    takeLosses(parts.map(({ value }) => value)),
    Promise.all(parts.map(({ seen }, index) => seen && takeObserved(seen, targets[index] ?? null))),
  ]);
  const loss = losses.reduce<number>(
    (sum, value, index) => sum + (value ?? 0) * (outputs[index]?.lossWeight ?? 1),
    0,
  );
  return { samples, loss, losses, observed: read };
}

/** One output judged, on the engine. */
export interface JudgedOutput {
  readonly value: tf.Tensor | null;
  readonly gradient: tf.Tensor | null;
  /** Tensors that metrics are computed from; null if there are none. */
  readonly seen: SeenOutput | null;
}

/** Tensors of one output that metrics are computed from. */
export interface SeenOutput {
  readonly outputs: tf.Tensor;
  readonly mask: tf.Tensor | null;
  readonly logits: tf.Tensor | null;
}

function judgeOutput(
  { loss, lossWeight, metrics, weightedMetrics }: OutputObjective,
  given: GivenOutput,
  should: UploadedTargets | null,
  { meanOver, gradients, observed }: Required<JudgeOptions> & Pick<Judged, "meanOver">,
): JudgedOutput {
  if (!loss || !should) {
    return { value: null, gradient: gradients ? tf.zerosLike(given.values) : null, seen: null };
  }
  const { targets, weights } = should;
  const sampleWeights = weights ?? undefined;
  const judged: Judged = { output: given, targets, sampleWeights, mask: given.mask, meanOver };
  const { value, gradient } = gradients
    ? lossGradient(loss, judged, lossWeight)
    : { value: batchLoss(loss, judged), gradient: null };
  const isObserved = observed || metrics.length + weightedMetrics.length > 0;
  return { value, gradient, seen: isObserved ? seenOf(given) : null };
}

function uploaded(tensor: Tensor): tf.Tensor {
  return tf.tensor(toFloat32(tensor), [...tensor.shape], "float32");
}

/** Reads all losses at once and releases them. A loss that Keras leaves unreduced counts by its mean. */
async function takeLosses(values: readonly (tf.Tensor | null)[]): Promise<(number | null)[]> {
  const all = await takeScalars(values.filter((value) => value !== null));
  let next = 0;
  return values.map((value) => (value === null ? null : (all[next++] ?? Number.NaN)));
}

/** Returns new handles of what is observed of an output. */
function seenOf(given: GivenOutput): SeenOutput {
  const carriesLogits = given.carried !== "none" && given.activation !== "none";
  return {
    outputs: activated(given).clone(),
    mask: given.mask?.clone() ?? null,
    logits: carriesLogits ? given.values.clone() : null,
  };
}

/** Reads what is observed of an output and releases it. */
async function takeObserved(
  { outputs, mask, logits }: SeenOutput,
  should: OutputTargets | null,
): Promise<MetricBatch> {
  if (!should) throw new Error("judgement: an output is observed that has no targets");
  const { targets, weights } = should;
  const [output, shown, carried] = await Promise.all([outputs, mask, logits].map(takeValues));
  return {
    outputs: output as Values,
    targets: { shape: targets.shape, data: toFloat32(targets) },
    ...(weights && { weights: { shape: weights.shape, data: toFloat32(weights) } }),
    ...(shown && { mask: shown }),
    ...(carried && { logits: carried }),
  };
}

async function takeValues(tensor: tf.Tensor | null): Promise<Values | null> {
  if (!tensor) return null;
  const values = { shape: tensor.shape, data: await tensor.data() };
  tensor.dispose();
  return values;
}
