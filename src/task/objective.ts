/** A task made ready to be computed: its losses and metrics as functions, one set for each output. */
import { UsageError } from "../errors.ts";
import type { Shape } from "../tensor.ts";
import { kerasMajor } from "../topology/dialects/dialect.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";
import type { MeanOver } from "./losses/batch-loss.ts";
import { meanUnderMask } from "./losses/batch-loss.ts";
import type { Loss } from "./losses/loss.ts";
import { lossOf } from "./losses/loss.ts";
import type { Metric } from "./metrics/metric.ts";
import { metricOf } from "./metrics/named-metric.ts";
import type { Task, TaskKind, TaskOutput } from "./task.ts";

/** One output of a model with what it is trained and judged on. */
export interface OutputObjective {
  readonly name: string;
  /** The model's output, batch first. */
  readonly shape: Shape;
  readonly kind: TaskKind;
  /** Null for an output that is not trained. */
  readonly loss: Loss | null;
  readonly lossWeight: number;
  readonly metrics: readonly Metric[];
  readonly weightedMetrics: readonly Metric[];
}

export interface Objective {
  readonly outputs: readonly OutputObjective[];
  /** Divisor of a mean under a mask. */
  readonly meanOver: MeanOver;
  readonly keras: 1 | 2 | 3;
}

/** @throws {UsageError} for a loss or a metric that is not known, and where no output has a loss. */
export function objectiveOf(task: Task, graph: LayerGraph, kerasVersion: string): Objective {
  const keras = kerasMajor(kerasVersion);
  const shapes = outputShapes(graph);
  const outputs = task.outputs.map((output, index) =>
    outputObjective(output, shapes[index] ?? [null, null], keras),
  );
  if (outputs.every(({ loss }) => loss === null)) {
    throw new UsageError(
      `loss: expected one for an output of ${outputs.map(({ name }) => name).join(", ")}, got none.`,
      "loss-missing",
    );
  }
  return { outputs, meanOver: meanUnderMask(kerasVersion), keras };
}

function outputObjective(output: TaskOutput, shape: Shape, keras: 1 | 2 | 3): OutputObjective {
  const { name, kind, lossWeight } = output;
  const loss = output.loss === null ? null : lossOf(output.loss);
  const context = { units: output.units ?? shape.at(-1) ?? 1, indices: loss?.targets === "indices", keras };
  return {
    name,
    shape,
    kind,
    loss,
    lossWeight,
    metrics: output.metrics.map((metric) => metricOf(metric, context)),
    weightedMetrics: output.weightedMetrics.map((metric) => metricOf(metric, context)),
  };
}

/** Returns the shapes of the model's outputs, batch first. */
export function outputShapes({ nodes, outputs }: LayerGraph): readonly Shape[] {
  return outputs.map(({ ref }) => nodes[ref.node]?.outputs[ref.output]?.shape ?? [null, null]);
}
