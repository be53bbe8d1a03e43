/** Functions that the command line needs besides the public API. */
export { sampleUnit } from "./data/dataset.ts";
export { decoderInfo } from "./data/decoder-info.ts";
export type { FileOptions } from "./data/model-files.ts";
export { fileKindOf } from "./data/model-files.ts";
export { ensureEngine } from "./engine/backend.ts";
export { engineHome } from "./engine/home.ts";
export { namedMemoryError } from "./engine/out-of-memory.ts";
export type { Shard } from "./features/shard.ts";
export { parseShard, shardFromEnvironment, wholeShard } from "./features/shard.ts";
export { onUnfinished } from "./formats/atomic-file.ts";
export {
  formatAt,
  formatNames,
  holdsModel,
  isReadable,
  leftBehind,
  writingWarnings,
} from "./formats/formats.ts";
export { freeName, portableName } from "./formats/free-name.ts";
export { forEarlyKeras3 } from "./formats/keras/format.ts";
export { formatBytes, formatSeconds } from "./freeze/number-text.ts";
export { parsePatterns } from "./freeze/patterns.ts";
export { planLines } from "./freeze/plan-text.ts";
export { nearestNames } from "./freeze/suggestions.ts";
export type { FileExplainer } from "./inference/explain-files.ts";
export { openFileExplainer } from "./inference/explain-files.ts";
export type { Parity } from "./inference/parity.ts";
export { comparePredictions } from "./inference/parity.ts";
export type { SavedMask } from "./inference/save-masks.ts";
export { saveMasks } from "./inference/save-masks.ts";
export { flatModel } from "./inference/write-checkpoint.ts";
export { isCustomLayer } from "./layers/register-layer.ts";
export type { OptionCheck, OptionSpelling, Refuse } from "./options.ts";
export {
  numberBetween,
  oneOf,
  positiveNumber,
  shellWord,
  someText,
  spellOptions,
  wholeNumber,
} from "./options.ts";
export { costRows } from "./run/cost-rows.ts";
export { dataOptionNames } from "./run/data-options.ts";
export { openEvaluationData } from "./run/evaluation-data.ts";
export { extractRun } from "./run/extract-run.ts";
export { csvField, makeRunFolder, modelFileAt, removeRunFolder } from "./run/folder.ts";
export { nameElsewhere, optionElsewhere } from "./run/other-names.ts";
export { cutNamed } from "./run/phases.ts";
export { plannedSamples, planWithCost } from "./run/plan-model.ts";
export { prepareRun } from "./run/prepare.ts";
export type { PreparedRun } from "./run/prepared-run.ts";
export { engineOfRun, finishedEpochs, finishedLine, precisionOfRun, threadsOfRun } from "./run/resume.ts";
export type { RunSummary } from "./run/saved-runs.ts";
export { runsBelow, writeReport } from "./run/saved-runs.ts";
export type { RunOption } from "./run/settings.ts";
export { checkOf, defaultOf, resolveOptions } from "./run/settings.ts";
export { metricNames } from "./run/sweep-folder.ts";
export { settingText } from "./run/sweep-grid.ts";
export { textInputOf } from "./run/text-input.ts";
export { endStage } from "./stages.ts";
export { registrationCount } from "./topology/custom-layers.ts";
