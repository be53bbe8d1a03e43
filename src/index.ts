export type {
  BatchNormMode,
  Checkpoint,
  CheckpointFormat,
  Json,
  JsonObject,
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
export type { ClassFolderOptions, ClassFolders, ImageFolder, TextFolder } from "./data/class-folders.ts";
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
export type { Channels, ImageSource } from "./data/decode.ts";
export type { Heatmap } from "./data/image-writing.ts";
export type { ImageOptions, LoadImagesOptions } from "./data/images.ts";
export { loadImages } from "./data/images.ts";
export type { MaskCoding } from "./data/mask-coding.ts";
export type { MaskFolder, MaskFolderOptions } from "./data/mask-folder.ts";
export { maskFolder } from "./data/mask-folder.ts";
export type { FileOptions } from "./data/model-files.ts";
export type { BadFile } from "./data/sample-reader.ts";
export { table } from "./data/table.ts";
export type { AskedTargets } from "./data/table-columns.ts";
export type { TableOptions } from "./data/table-plan.ts";
export type { EngineOptions } from "./engine/backend.ts";
export { engineInfo, useEngine } from "./engine/backend.ts";
export type { EngineChoice, EngineInfo, EngineName, RejectedEngine } from "./engine/engine-info.ts";
export type { Precision } from "./engine/precision.ts";
export type { GpuSetup, NativeSetup, SetupOptions, SetupReport, SetupStep } from "./engine/setup.ts";
export { setupEngine } from "./engine/setup.ts";
export type { OnnxSetupOptions, OnnxSetupReport } from "./engine/setup-onnx.ts";
export { setupOnnxRuntime } from "./engine/setup-onnx.ts";
export type { Axis, EngineTensor, Operand, TensorOperations } from "./engine/tensor-operations.ts";
export { DataError, KerasFileError, MachineError, TopologyError, UsageError } from "./errors.ts";
export type { InferenceForm } from "./features/inference-forms.ts";
export type { FeatureFigures, Shard, ShardFeatures } from "./features/shard.ts";
export type { AugmentArgument } from "./features/views/recipe.ts";
export { finetune } from "./finetune.ts";
export type { ReadOptions } from "./formats/checkpoint-file.ts";
export { readCheckpoint } from "./formats/checkpoint-file.ts";
export type { InspectedLayer, InspectedStage, Inspection } from "./freeze/inspect.ts";
export { inspect } from "./freeze/inspect.ts";
export type { NameRule } from "./freeze/names.ts";
export type { Side } from "./freeze/partition.ts";
export type {
  FinetunePlan,
  PlannedAugmentation,
  PlannedCost,
  PlannedLayer,
  PlannedTensor,
} from "./freeze/plan.ts";
export type { FreezePolicy } from "./freeze/policy.ts";
export {
  freeze,
  freezeAllButHead,
  freezeDepth,
  freezeThrough,
  freezeUntil,
  unfreeze,
} from "./freeze/policy.ts";
export type { FreezeRule } from "./freeze/rules.ts";
export type { ClassHead, HeadOptions, UnitHead } from "./head/replace-head.ts";
export { replaceHead } from "./head/replace-head.ts";
export type { EvaluateOptions, Evaluation, PerOutput } from "./inference/evaluate.ts";
export { evaluate } from "./inference/evaluate.ts";
export type { ExplainOptions, Explanation } from "./inference/explain.ts";
export { explain } from "./inference/explain.ts";
export type { ExplainFilesOptions, FileExplanation } from "./inference/explain-files.ts";
export { explainFiles } from "./inference/explain-files.ts";
export type { ClassProbability, OutputPrediction, SamplePrediction } from "./inference/output-predictions.ts";
export type { PredictOptions } from "./inference/predict.ts";
export { predict } from "./inference/predict.ts";
export type { FilePrediction, PredictFilesOptions } from "./inference/predict-files.ts";
export { predictEach, predictFiles } from "./inference/predict-files.ts";
export type { PredictImagesOptions, Predictor, PredictorOptions } from "./inference/predictor.ts";
export { createPredictor } from "./inference/predictor.ts";
export type { WriteCheckpointOptions } from "./inference/write-checkpoint.ts";
export { writeCheckpoint } from "./inference/write-checkpoint.ts";
export type {
  CustomCall,
  CustomKernel,
  CustomLayer,
  CustomResult,
  CustomShapes,
  CustomSpec,
  CustomWeight,
  HeldCall,
  HeldLayer,
} from "./layers/custom-layer.ts";
export { registerLayer } from "./layers/register-layer.ts";
export type { RandomStream } from "./random.ts";
export type {
  Calibration,
  ClassRow,
  OutputReport,
  Point,
  SampleNote,
  ScoreCurves,
  SplitReport,
} from "./report/run-report.ts";
export type { ExtractOptions, Features } from "./run/extract-features.ts";
export { extractFeatures } from "./run/extract-features.ts";
export type { LearningRateOptions, LearningRateSearch } from "./run/learning-rate-search.ts";
export { findLearningRate } from "./run/learning-rate-search.ts";
export type {
  FinetuneOptions,
  FinetuneResult,
  PhaseOptions,
  PhaseResult,
  ProgressEvent,
  RecipeName,
  ResumeOptions,
} from "./run/options.ts";
export type { PlanFinetuneOptions } from "./run/plan-finetune.ts";
export { planFinetune } from "./run/plan-finetune.ts";
export type { Proof } from "./run/proof.ts";
export type { SweepRun } from "./run/sweep-folder.ts";
export type { SweepGrid, SweepOption, SweepSettings } from "./run/sweep-grid.ts";
export type { AppliedRule, LayerReason, WhyOptions } from "./run/why-layer.ts";
export { whyLayer } from "./run/why-layer.ts";
export type { Sweep, SweepOptions, SweepProgress } from "./sweep.ts";
export { sweep } from "./sweep.ts";
export type { ClassFigures } from "./task/class-figures.ts";
export type { Figures } from "./task/figures.ts";
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
export type { DType, InputTensor, Shape, StringTensor, Tensor, TensorData } from "./tensor.ts";
export { layerGraph } from "./topology/build-graph.ts";
export type {
  ActivityPenalties,
  GraphEndpoint,
  GraphLayer,
  GraphNode,
  KerasMajor,
  LayerGraph,
  ModelLayers,
  TensorRef,
  TensorSpec,
} from "./topology/layer-graph.ts";
export type {
  Awaitable,
  Callback,
  CopyOptions,
  Moment,
  StepFigures,
  TrainingRun,
  Verdict,
} from "./training/callbacks/callback.ts";
export type { Monitor } from "./training/callbacks/monitor.ts";
export type { Examples } from "./training/example-set.ts";
export type { Epoch, History } from "./training/history.ts";
export type { OptimizerArgument } from "./training/optimizer-config.ts";
export type { RatePoint, RateSuggestions } from "./training/rate-suggestions.ts";
export type { ScheduleArgument, ScheduleName } from "./training/schedules.ts";
export type { Snapshot } from "./training/snapshot.ts";
export type {
  CallbackState,
  OptimizerState,
  RandomState,
  TrainingCounts,
  TrainingState,
  WeightSlots,
} from "./training/state.ts";
export type { BatchOptions, TrainedBatch, Trainer, TrainerOptions } from "./training/trainer.ts";
export { createTrainer } from "./training/trainer.ts";
