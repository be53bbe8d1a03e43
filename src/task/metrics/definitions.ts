/** Keras's metrics under their function's or snake-case name, with their settings (`keras/src/metrics/__init__.py`). */
import type { Json } from "../../checkpoint.ts";
import { accuracyValues } from "./accuracies.ts";
import { aucState } from "./auc.ts";
import { decisionStates } from "./decisions.ts";
import { distanceValues } from "./distances.ts";
import { meanOf } from "./mean.ts";
import type { MetricBatch, MetricState, Values } from "./metric.ts";
import { determinationState, fBetaState, iouState, sumState } from "./scores.ts";

type Settings = Readonly<Record<string, Json>>;

export interface MetricDefinition {
  readonly className: string;
  readonly aliases?: readonly string[];
  readonly direction: "up" | "down";
  readonly defaults: Settings;
  /** Settings without which the metric means nothing. */
  readonly required?: readonly string[];
  /** Form in which it reads targets: as values of the output's shape, as class indices, or as either. */
  readonly targets: "values" | "indices" | "either";
  /** True if a mask counts in Keras 3 too; in Keras 2 it does in every metric. */
  readonly masked: boolean;
  readonly start: (settings: Settings) => MetricState;
}

type Start = MetricDefinition["start"];
type ValuesOf = (settings: Settings) => (batch: MetricBatch) => Values;

function mean(
  className: string,
  valuesOf: ValuesOf,
  options: Partial<MetricDefinition> = {},
): MetricDefinition {
  return {
    className,
    direction: "down",
    defaults: {},
    targets: "values",
    masked: true,
    start: (settings) => meanOf(valuesOf(settings)),
    ...options,
  };
}

function state(className: string, start: Start, options: Partial<MetricDefinition> = {}): MetricDefinition {
  return { className, direction: "up", defaults: {}, targets: "values", masked: false, start, ...options };
}

const up = { direction: "up" } as const;
const indices = { targets: "indices" } as const;
const atThresholds = { defaults: { thresholds: null, top_k: null, class_id: null } };
const counting = { defaults: { thresholds: null }, direction: "up" as const };

function constrained(setting: string): Partial<MetricDefinition> {
  return { defaults: { num_thresholds: 200, class_id: null }, required: [setting] };
}

const overlap = { num_classes: null, ignore_class: null, axis: -1 };

function known<T>(record: Readonly<Record<string, T>>, name: string): T {
  const found = record[name];
  if (found === undefined) throw new Error(`metric ${name}: no such definition`);
  return found;
}

const distance = (name: string): ValuesOf => known(distanceValues, name);
const accuracy = (name: string): ValuesOf => known(accuracyValues, name);
const decision = (name: string): Start => known(decisionStates, name);

export const metricDefinitions: Readonly<Record<string, MetricDefinition>> = {
  exact_accuracy: mean("Accuracy", accuracy("accuracy"), { ...up, targets: "either" }),
  binary_accuracy: mean("BinaryAccuracy", accuracy("binary_accuracy"), {
    ...up,
    defaults: { threshold: 0.5 },
  }),
  categorical_accuracy: mean("CategoricalAccuracy", accuracy("categorical_accuracy"), up),
  sparse_categorical_accuracy: mean("SparseCategoricalAccuracy", accuracy("sparse_categorical_accuracy"), {
    ...up,
    ...indices,
  }),
  top_k_categorical_accuracy: mean("TopKCategoricalAccuracy", accuracy("top_k_categorical_accuracy"), {
    ...up,
    defaults: { k: 5 },
  }),
  sparse_top_k_categorical_accuracy: mean(
    "SparseTopKCategoricalAccuracy",
    accuracy("sparse_top_k_categorical_accuracy"),
    { ...up, ...indices, defaults: { k: 5, from_sorted_ids: false } },
  ),
  mean_squared_error: mean("MeanSquaredError", distance("mean_squared_error"), { aliases: ["mse"] }),
  root_mean_squared_error: state(
    "RootMeanSquaredError",
    () => meanOf(distance("mean_squared_error")({}), Math.sqrt),
    { direction: "down", aliases: ["rmse"] },
  ),
  mean_absolute_error: mean("MeanAbsoluteError", distance("mean_absolute_error"), { aliases: ["mae"] }),
  mean_absolute_percentage_error: mean(
    "MeanAbsolutePercentageError",
    distance("mean_absolute_percentage_error"),
    { aliases: ["mape"] },
  ),
  mean_squared_logarithmic_error: mean(
    "MeanSquaredLogarithmicError",
    distance("mean_squared_logarithmic_error"),
    { aliases: ["msle"] },
  ),
  log_cosh: mean("LogCoshError", distance("log_cosh"), { aliases: ["logcosh", "LogCosh"] }),
  huber: mean("Huber", distance("huber"), { defaults: { delta: 1 } }),
  cosine_similarity: mean("CosineSimilarity", distance("cosine_similarity"), {
    ...up,
    defaults: { axis: -1 },
  }),
  poisson: mean("Poisson", distance("poisson")),
  kl_divergence: mean("KLDivergence", distance("kl_divergence"), {
    aliases: ["kld", "kullback_leibler_divergence"],
  }),
  hinge: mean("Hinge", distance("hinge")),
  squared_hinge: mean("SquaredHinge", distance("squared_hinge")),
  categorical_hinge: mean("CategoricalHinge", distance("categorical_hinge")),
  binary_crossentropy: mean("BinaryCrossentropy", distance("binary_crossentropy"), {
    aliases: ["bce"],
    defaults: { from_logits: false, label_smoothing: 0, axis: -1 },
  }),
  categorical_crossentropy: mean("CategoricalCrossentropy", distance("categorical_crossentropy"), {
    defaults: { from_logits: false, label_smoothing: 0, axis: -1 },
  }),
  sparse_categorical_crossentropy: mean(
    "SparseCategoricalCrossentropy",
    distance("sparse_categorical_crossentropy"),
    { ...indices, defaults: { from_logits: false, ignore_class: null, axis: -1 } },
  ),
  pearson_correlation: mean("PearsonCorrelation", distance("pearson_correlation"), {
    ...up,
    defaults: { axis: -1 },
  }),
  concordance_correlation: mean("ConcordanceCorrelation", distance("concordance_correlation"), {
    ...up,
    defaults: { axis: -1 },
  }),
  r2_score: state("R2Score", determinationState, {
    aliases: ["r2"],
    defaults: { class_aggregation: "uniform_average", num_regressors: 0 },
  }),
  precision: state("Precision", decision("precision"), atThresholds),
  recall: state("Recall", decision("recall"), atThresholds),
  true_positives: state("TruePositives", decision("true_positives"), counting),
  true_negatives: state("TrueNegatives", decision("true_negatives"), counting),
  false_positives: state("FalsePositives", decision("false_positives"), { ...counting, direction: "down" }),
  false_negatives: state("FalseNegatives", decision("false_negatives"), { ...counting, direction: "down" }),
  sensitivity_at_specificity: state(
    "SensitivityAtSpecificity",
    decision("sensitivity_at_specificity"),
    constrained("specificity"),
  ),
  specificity_at_sensitivity: state(
    "SpecificityAtSensitivity",
    decision("specificity_at_sensitivity"),
    constrained("sensitivity"),
  ),
  precision_at_recall: state("PrecisionAtRecall", decision("precision_at_recall"), constrained("recall")),
  recall_at_precision: state("RecallAtPrecision", decision("recall_at_precision"), constrained("precision")),
  auc: state("AUC", aucState, {
    defaults: {
      num_thresholds: 200,
      curve: "ROC",
      summation_method: "interpolation",
      thresholds: null,
      multi_label: false,
      num_labels: null,
      label_weights: null,
      from_logits: false,
    },
  }),
  f1_score: state("F1Score", fBetaState, { aliases: ["f1"], defaults: { average: null, threshold: null } }),
  fbeta_score: state("FBetaScore", fBetaState, {
    aliases: ["f_beta_score"],
    defaults: { average: null, beta: 1, threshold: null },
  }),
  io_u: state("IoU", iouState, {
    targets: "either",
    defaults: { ...overlap, sparse_y_true: true, sparse_y_pred: true },
    required: ["num_classes", "target_class_ids"],
  }),
  mean_io_u: state("MeanIoU", iouState, {
    targets: "either",
    defaults: { ...overlap, sparse_y_true: true, sparse_y_pred: true },
    required: ["num_classes"],
  }),
  binary_io_u: state("BinaryIoU", iouState, {
    targets: "either",
    defaults: { num_classes: 2, target_class_ids: [0, 1], threshold: 0.5 },
  }),
  one_hot_io_u: state("OneHotIoU", iouState, {
    defaults: { ...overlap, sparse_y_true: false, sparse_y_pred: false },
    required: ["num_classes", "target_class_ids"],
  }),
  one_hot_mean_io_u: state("OneHotMeanIoU", iouState, {
    defaults: { ...overlap, sparse_y_true: false, sparse_y_pred: false },
    required: ["num_classes"],
  }),
  mean: state("Mean", () => sumState("mean")),
  sum: state("Sum", () => sumState("sum")),
};
