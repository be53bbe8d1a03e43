/** A task's figures over the batches so far, under the names of Keras's `evaluate(return_dict=True)`. */
import type { Figures } from "./figures.ts";
import type { BatchScores } from "./judgement.ts";
import type { Metric, MetricState, MetricValue } from "./metrics/metric.ts";
import type { Objective } from "./objective.ts";

export interface ScoreKeeper {
  /** @param penalty what regularizers add to the batch's loss. */
  add(scores: BatchScores, penalty: number): void;
  figures(): Figures;
}

/**
 * Returns a keeper without a batch. The loss is a mean over batches, each counted by its number of samples; metrics keep their own
 * state. Of several outputs, Keras 3 counts each batch's loss once, whatever its size, since it does not know the size when it
 * builds its graph (`CompileLoss.call` in `keras/src/trainers/compile_utils.py`).
 */
export function scoreKeeper(objective: Objective): ScoreKeeper {
  const { outputs } = objective;
  const kept = outputs.map(({ metrics, weightedMetrics }) => ({
    metrics: metrics.map((metric) => metric.start()),
    weighted: weightedMetrics.map((metric) => metric.start()),
  }));
  const sums = outputs.map(() => 0);
  const countsBatches = objective.keras === 3;
  let samples = 0;
  let counted = 0;
  let loss = 0;
  return {
    add: (scores, penalty) => {
      samples += scores.samples;
      const count = countsBatches ? 1 : scores.samples;
      counted += count;
      loss += (scores.loss + penalty) * scores.samples;
      for (const [index, { metrics, weighted }] of kept.entries()) {
        sums[index] = (sums[index] ?? 0) + (scores.losses[index] ?? 0) * count;
        const batch = scores.observed[index];
        if (!batch) continue;
        const { weights: _weights, ...unweighted } = batch;
        for (const metric of metrics) metric.add(unweighted);
        for (const metric of weighted) metric.add(batch);
      }
    },
    figures: () => ({
      loss: loss / samples,
      ...outputLosses(objective, sums, counted),
      ...metricFigures(
        objective,
        kept.map(({ metrics }) => metrics),
        kept.map(({ weighted }) => weighted),
      ),
    }),
  };
}

/** Keras reports each output's loss where there are several losses, Keras 2 where there are several outputs. */
function outputLosses(
  { outputs, keras }: Objective,
  sums: readonly number[],
  count: number,
): Record<string, number> {
  const trained = outputs.filter(({ loss }) => loss !== null);
  if ((keras < 3 ? outputs : trained).length < 2) return {};
  return Object.fromEntries(
    outputs.flatMap(({ name, loss }, index) =>
      loss === null ? [] : [[`${name}_loss`, (sums[index] ?? 0) / count] as const],
    ),
  );
}

/** A name that stands twice is counted; that of a weighted metric is said to be one first. */
function metricFigures(
  { outputs }: Objective,
  states: readonly (readonly MetricState[])[],
  weightedStates: readonly (readonly MetricState[])[],
): Record<string, MetricValue> {
  const figures: Record<string, MetricValue> = {};
  const counts = new Map<string, number>();
  const named = (output: string, metric: string): string =>
    outputs.length > 1 ? `${output}_${metric}` : metric;
  const counted = (name: string): string => {
    const count = counts.get(name) ?? 0;
    counts.set(name, count + 1);
    return count === 0 ? name : `${name}_${count}`;
  };
  for (const [index, { name, metrics }] of outputs.entries()) {
    for (const [place, metric] of metrics.entries()) {
      figures[counted(named(name, metric.name))] = resultOf(states[index]?.[place]);
    }
  }
  for (const [index, { name, weightedMetrics }] of outputs.entries()) {
    for (const [place, metric] of weightedMetrics.entries()) {
      const plain = named(name, metric.name);
      const isTaken = counts.has(plain);
      figures[counted(isTaken ? named(name, weightedName(metric)) : plain)] = resultOf(
        weightedStates[index]?.[place],
      );
    }
  }
  return figures;
}

function weightedName({ name }: Metric): string {
  return `weighted_${name}`;
}

function resultOf(state: MetricState | undefined): MetricValue {
  return state?.result() ?? Number.NaN;
}
