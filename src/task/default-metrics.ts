/** The metrics that a task is judged by where nobody names any. */
import type { MetricArgument } from "./metrics/metric.ts";
import type { TaskKind } from "./task.ts";

interface Judged {
  readonly kind: TaskKind;
  readonly perPosition: boolean;
  readonly activation: string;
  readonly units: number | null;
  /** Rank of the output, the batch counted. */
  readonly rank: number;
  /** True if the loss takes class indices. */
  readonly indices: boolean;
}

/** Scores that are logits are compared with 0, where Keras's own `accuracy` compares with a half. */
export function defaultMetrics(output: Judged): readonly MetricArgument[] {
  switch (output.kind) {
    case "classes":
      return output.perPosition ? maskMetrics(output) : classMetrics(output);
    case "labels":
      return labelMetrics(output);
    case "values":
      return valueMetrics(output);
  }
}

function classMetrics(output: Judged): readonly MetricArgument[] {
  const { units, indices } = output;
  if (units === null || units < 10) return [accuracyOf(output)];
  const className = indices ? "SparseTopKCategoricalAccuracy" : "TopKCategoricalAccuracy";
  return [accuracyOf(output), { class_name: className, config: { name: "top_5_accuracy", k: 5 } }];
}

function maskMetrics(output: Judged): readonly MetricArgument[] {
  const { units, rank, indices, activation } = output;
  if (rank < 4 || units === null) return [accuracyOf(output)];
  const config =
    units === 1
      ? { name: "mean_io_u", target_class_ids: [0, 1], threshold: activation === "linear" ? 0 : 0.5 }
      : { name: "mean_io_u", num_classes: units, sparse_y_true: indices, sparse_y_pred: false };
  return [accuracyOf(output), { class_name: units === 1 ? "BinaryIoU" : "MeanIoU", config }];
}

function accuracyOf({ units, activation }: Judged): MetricArgument {
  if (units !== 1 || activation !== "linear") return "accuracy";
  return { class_name: "BinaryAccuracy", config: { name: "accuracy", threshold: 0 } };
}

function labelMetrics({ activation, perPosition, units }: Judged): readonly MetricArgument[] {
  const areLogits = activation === "linear";
  const threshold = areLogits ? 0 : 0.5;
  const decided = (className: string, name: string): MetricArgument =>
    areLogits ? { class_name: className, config: { name, thresholds: 0 } } : name;
  const accuracy: MetricArgument = areLogits
    ? { class_name: "BinaryAccuracy", config: { name: "binary_accuracy", threshold } }
    : "binary_accuracy";
  const auc: MetricArgument = areLogits
    ? { class_name: "AUC", config: { name: "auc", from_logits: true } }
    : "auc";
  const f1: MetricArgument = {
    class_name: "F1Score",
    config: { name: "f1_score", average: "macro", threshold },
  };
  return [
    accuracy,
    decided("Precision", "precision"),
    decided("Recall", "recall"),
    ...(perPosition || units === null ? [] : [f1]),
    auc,
  ];
}

function valueMetrics({ rank }: Judged): readonly MetricArgument[] {
  const rmse = { class_name: "RootMeanSquaredError", config: { name: "rmse" } };
  return rank === 2 ? ["mae", rmse, "r2_score"] : ["mae", rmse];
}
