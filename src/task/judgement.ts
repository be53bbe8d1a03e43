/** The losses of a batch, their gradients, and what its metrics are computed from. */
import { tf } from "../engine/tf.ts";
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
export function judge(
  { outputs, meanOver }: Objective,
  given: readonly GivenOutput[],
  targets: readonly (OutputTargets | null)[],
  { gradients = false, observed = false }: JudgeOptions = {},
): { readonly scores: BatchScores; readonly gradients: readonly tf.Tensor[] } {
  const samples = given[0]?.values.shape[0] ?? 0;
  const parts = outputs.map((output, index) => {
    const judgedOutput = given[index];
    const should = targets[index] ?? null;
    if (!judgedOutput) throw new Error(`objective: no output ${output.name}`);
    return judgeOutput(output, judgedOutput, should, { meanOver, gradients, observed });
  });
  const losses = readLosses(parts.map(({ value }) => value));
  tf.dispose(parts.flatMap(({ value }) => value ?? []));
  const loss = losses.reduce<number>(
    (sum, value, index) => sum + (value ?? 0) * (outputs[index]?.lossWeight ?? 1),
    0,
  );
  return {
    scores: { samples, loss, losses, observed: parts.map(({ observed }) => observed) },
    gradients: parts.flatMap(({ gradient }) => gradient ?? []),
  };
}

interface JudgedOutput {
  readonly value: tf.Tensor | null;
  readonly gradient: tf.Tensor | null;
  readonly observed: MetricBatch | null;
}

function judgeOutput(
  { loss, lossWeight, metrics, weightedMetrics }: OutputObjective,
  given: GivenOutput,
  should: OutputTargets | null,
  { meanOver, gradients, observed }: Required<JudgeOptions> & Pick<Judged, "meanOver">,
): JudgedOutput {
  if (!loss || !should) {
    return { value: null, gradient: gradients ? tf.zerosLike(given.values) : null, observed: null };
  }
  const targets = uploaded(should.targets);
  const sampleWeights = should.weights && uploaded(should.weights);
  const judged: Judged = { output: given, targets, sampleWeights, mask: given.mask, meanOver };
  const { value, gradient } = gradients
    ? lossGradient(loss, judged, lossWeight)
    : { value: batchLoss(loss, judged), gradient: null };
  tf.dispose([targets, ...(sampleWeights ? [sampleWeights] : [])]);
  const isObserved = observed || metrics.length + weightedMetrics.length > 0;
  return { value, gradient, observed: isObserved ? observe(given, should) : null };
}

function uploaded(tensor: Tensor): tf.Tensor {
  return tf.tensor(toFloat32(tensor), [...tensor.shape], "float32");
}

/** Reads all losses at once. A loss that Keras leaves unreduced counts by its mean. */
function readLosses(values: readonly (tf.Tensor | null)[]): (number | null)[] {
  const present = values.filter((value) => value !== null);
  const all = present.length === 0 ? [] : readOnce(present);
  let next = 0;
  return values.map((value) => (value === null ? null : (all[next++] ?? Number.NaN)));
}

function readOnce(scalars: readonly tf.Tensor[]): ArrayLike<number> {
  const [only] = scalars;
  if (only && scalars.length === 1) return only.dataSync();
  const stacked = tf.stack(scalars.map((scalar) => tf.reshape(scalar, [])));
  const read = stacked.dataSync();
  stacked.dispose();
  return read;
}

function observe(given: GivenOutput, { targets, weights }: OutputTargets): MetricBatch {
  const output = tf.tidy(() => activated(given).clone());
  const outputs = valuesOf(output);
  output.dispose();
  const carriesLogits = given.carried !== "none" && given.activation !== "none";
  return {
    outputs,
    targets: { shape: targets.shape, data: toFloat32(targets) },
    ...(weights && { weights: { shape: weights.shape, data: toFloat32(weights) } }),
    ...(given.mask && { mask: valuesOf(given.mask) }),
    ...(carriesLogits && { logits: valuesOf(given.values) }),
  };
}

function valuesOf(tensor: tf.Tensor): Values {
  return { shape: tensor.shape, data: tensor.dataSync() };
}
