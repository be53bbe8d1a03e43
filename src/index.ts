export type {
  BatchNormMode,
  Checkpoint,
  CheckpointFormat,
  Notes,
  PreprocessMode,
  Weight,
  Weights,
} from "./checkpoint.ts";
export type { CrossValidation, CrossValidationOptions, Spread } from "./cross-validate.ts";
export { crossValidate } from "./cross-validate.ts";
export type { ArrayDatasetOptions } from "./data/arrays.ts";
export { arrayDataset } from "./data/arrays.ts";
export type { BatchDatasetOptions, BatchSource } from "./data/batches.ts";
export { batchDataset } from "./data/batches.ts";
export { imageFolder, textFolder } from "./data/class-folders.ts";
export type {
  ArrayDataset,
  Batch,
  BatchDataset,
  Dataset,
  FileDataset,
  FileSample,
  ImageDataset,
  ModelInputs,
  ModelTargets,
  SampleTarget,
  SampleUnit,
  SampleWeights,
  Split,
  TargetColumn,
  TextDataset,
} from "./data/dataset.ts";
export { loadImages } from "./data/images.ts";
export type { MaskFolder, MaskFolderOptions } from "./data/mask-folder.ts";
export { maskFolder } from "./data/mask-folder.ts";
export type { FileOptions } from "./data/model-files.ts";
export { table } from "./data/table.ts";
export type { TableOptions } from "./data/table-plan.ts";
export type { EngineChoice, EngineInfo } from "./engine/backend.ts";
export { engineInfo, useEngine } from "./engine/backend.ts";
export { setupEngine } from "./engine/setup.ts";
export { DataError, KerasFileError, MachineError, TopologyError, UsageError } from "./errors.ts";
export type { Shard, ShardFeatures } from "./features/shard.ts";
export type { AugmentArgument } from "./features/views/recipe.ts";
export { finetune } from "./finetune.ts";
export { readCheckpoint } from "./formats/checkpoint-file.ts";
export type { Inspection } from "./freeze/inspect.ts";
export { inspect } from "./freeze/inspect.ts";
export type { FinetunePlan, PlannedLayer } from "./freeze/plan.ts";
export type { FreezePolicy } from "./freeze/policy.ts";
export {
  freeze,
  freezeAllButHead,
  freezeDepth,
  freezeThrough,
  freezeUntil,
  unfreeze,
} from "./freeze/policy.ts";
export { replaceHead } from "./head/replace-head.ts";
export type { Evaluation } from "./inference/evaluate.ts";
export { evaluate } from "./inference/evaluate.ts";
export type { ClassProbability, OutputPrediction, SamplePrediction } from "./inference/output-predictions.ts";
export { predict } from "./inference/predict.ts";
export type { FilePrediction, PredictFilesOptions } from "./inference/predict-files.ts";
export { predictFiles } from "./inference/predict-files.ts";
export type { WriteCheckpointOptions } from "./inference/write-checkpoint.ts";
export { writeCheckpoint } from "./inference/write-checkpoint.ts";
export type { ClassRow, OutputReport, SampleNote, SplitReport } from "./report/run-report.ts";
export type { ExtractOptions, Features } from "./run/extract-features.ts";
export { extractFeatures } from "./run/extract-features.ts";
export type {
  FinetuneOptions,
  FinetuneResult,
  PhaseOptions,
  PhaseResult,
  ProgressEvent,
} from "./run/options.ts";
export { planFinetune } from "./run/plan-finetune.ts";
export type { Proof } from "./run/proof.ts";
export type { ClassFigures } from "./task/class-figures.ts";
export type { CustomLoss, LossArgument } from "./task/losses/loss-argument.ts";
export type {
  CustomMetric,
  Metric,
  MetricArgument,
  MetricBatch,
  MetricState,
  MetricValue,
  Values,
} from "./task/metrics/metric.ts";
export type { AskedTask, Task, TaskKind, TaskName, TaskOutput } from "./task/task.ts";
export { taskOf } from "./task/task-of.ts";
export type { DType, InputTensor, Shape, StringTensor, Tensor } from "./tensor.ts";
export { layerGraph } from "./topology/build-graph.ts";
export type { LayerGraph } from "./topology/layer-graph.ts";
export type {
  Callback,
  Moment,
  StepFigures,
  TrainingRun,
  Verdict,
} from "./training/callbacks/callback.ts";
export type { Epoch, History } from "./training/history.ts";
export type { OptimizerArgument } from "./training/optimizer-config.ts";
export type {
  CallbackState,
  OptimizerState,
  RandomState,
  TrainingCounts,
  TrainingState,
  WeightSlots,
} from "./training/state.ts";
export type { Trainer, TrainerOptions } from "./training/trainer.ts";
export { createTrainer } from "./training/trainer.ts";
