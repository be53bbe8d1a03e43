import { withoutTextInput } from "../architectures/hub/text-preprocessor.ts";
import type { Checkpoint } from "../checkpoint.ts";
import { inputsInOrder } from "../data/arrays.ts";
import { knownDataset } from "../data/batches.ts";
import type { Dataset, StoredDataset } from "../data/dataset.ts";
import { sampleUnit } from "../data/dataset.ts";
import { openData } from "../data/model-files.ts";
import type { SampleReader } from "../data/sample-reader.ts";
import { batchSamples, spoolBatches } from "../data/spooled-batches.ts";
import { takesTexts } from "../data/texts.ts";
import { ensureEngine } from "../engine/backend.ts";
import { UsageError } from "../errors.ts";
import {
  defaultCacheDirectory,
  localFolderOf,
  requireNoLimitInBucket,
} from "../features/cache/cache-directory.ts";
import { indexBeside } from "../features/cache/file-index.ts";
import type { CutModel, PhasedModel } from "../features/cut.ts";
import { cutPhases } from "../features/cut.ts";
import { extractionBatchWithin } from "../features/extraction-batch.ts";
import { requireUsableLayers } from "../features/views/view-pixels.ts";
import { viewReader } from "../features/views/view-reader.ts";
import { defaultFormat, writingWarnings } from "../formats/formats.ts";
import type { FinetunePlan } from "../freeze/plan.ts";
import type { FreezePolicy } from "../freeze/policy.ts";
import { freezeAllButHead } from "../freeze/policy.ts";
import { requireKnownClasses } from "../task/class-weights.ts";
import type { CompiledModel } from "../task/compiled-config.ts";
import { compiledConfig } from "../task/compiled-config.ts";
import { requireInputs } from "../task/inputs.ts";
import type { Objective } from "../task/objective.ts";
import { objectiveOf } from "../task/objective.ts";
import { checkedTargets } from "../task/targets.ts";
import type { AskedTask, Task } from "../task/task.ts";
import { taskOf } from "../task/task-of.ts";
import { taskLines } from "../task/task-text.ts";
import { layerGraph } from "../topology/build-graph.ts";
import { dialectOf } from "../topology/dialects/dialect.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";
import { requireSupported } from "../topology/support.ts";
import { fileOptimizer, stateOfTrained } from "../training/file-optimizer.ts";
import type { OptimizerConfig } from "../training/optimizer-config.ts";
import { kerasOptimizer, optimizerWarnings, stepsPerUpdate } from "../training/optimizer-config.ts";
import type { OptimizerState } from "../training/state.ts";
import type { Augmentation } from "./augmentation.ts";
import { augmentationOf, drawsViews } from "./augmentation.ts";
import { countOf } from "./cost.ts";
import { dataOptions } from "./data-options.ts";
import type { DecidedSettings } from "./decided-settings.ts";
import { recordedLoss, recordedPhases } from "./decided-settings.ts";
import type { ModelWriting } from "./folder.ts";
import { withHeadFor } from "./head-for-task.ts";
import type { ImageInput } from "./image-input.ts";
import { inputOf } from "./image-input.ts";
import type { StepSize } from "./memory.ts";
import { fittedLine, fittedStep, processBytes, roomWarnings, splitWarmup, splitWarnings } from "./memory.ts";
import { forRelease, openModel, writingOptions } from "./open-model.ts";
import { optimizerOf, requireTrainable } from "./phase-optimizer.ts";
import type { PreparedPhase } from "./phases.ts";
import { askedPhases } from "./phases.ts";
import type { PlanTiming, RunPlanner } from "./planned-run.ts";
import { earliestPlan, runPlanner } from "./planned-run.ts";
import type { AskedPhase } from "./recipes.ts";
import { layerDecayOf } from "./recipes.ts";
import type { RunSettings } from "./settings.ts";
import { textInputOf } from "./text-input.ts";

/** A run with everything decided and nothing computed yet: what `--dry-run` prints. Its cut is the earliest of its phases. */
export interface PreparedRun extends CutModel {
  readonly settings: DecidedSettings;
  /** The model with its head for the data's classes. */
  readonly checkpoint: Checkpoint;
  /** The format and the options that the tuned model is written with. */
  readonly writing: ModelWriting;
  readonly dataset: StoredDataset;
  /** The plan of the earliest cut. */
  readonly plan: FinetunePlan;
  /** The plan as text. */
  readonly planLines: readonly string[];
  readonly phases: readonly PreparedPhase[];
  /** Number of rows that every batch of an extraction is padded to. */
  readonly extractionBatch: number;
  /** State that the optimizer of the first phase goes on from; null where it begins fresh. */
  readonly optimizerState: OptimizerState | null;
  /** Turns files, and views of them, into the model's input; null for arrays, which are taken as they are. */
  readonly reader: SampleReader | null;
  /** Null where samples are not augmented. */
  readonly augmentation: Augmentation | null;
  readonly task: Task;
  readonly objective: Objective;
  /** Class names in output order. */
  readonly labels: readonly string[];
  /** Facts worth a line before the plan. */
  readonly messages: readonly string[];
  readonly warnings: readonly string[];
  /** Returns the sha256 of a file's bytes as the run saw them first; undefined where the run has no cache that they are keys of. */
  readonly hashOf: ((path: string) => Promise<string>) | undefined;
}

interface Preparation extends Partial<PlanTiming> {
  readonly step?: StepSize | null;
}

/**
 * Reads the model and lists the data, gives the model the head that the data needs, and cuts it where the policies say.
 * @param preparation.isTimed False where nobody reads the plan's seconds: then no part of the run is timed on samples for them.
 * @param preparation.step The steps of a run that goes on, or of one that takes none; otherwise as asked, and fewer samples in each
 * where the memory is too little.
 * @throws {UsageError | TopologyError | KerasFileError | DataError} for whatever would stop the run, before anything is computed.
 */
export async function prepareRun(
  settings: RunSettings,
  { isTimed = true, started = performance.now(), counts = null, step: keptStep = null }: Preparation = {},
): Promise<PreparedRun> {
  requireNoLimitInBucket(settings.cache, settings.cacheMax);
  const given = await openModel(settings);
  const hashOf = await hashing(settings);
  const dataset =
    typeof settings.data === "string"
      ? await openData(given, settings.data, { ...dataOptions(settings), hashFile: hashOf })
      : await inMemoryOrSpooled(settings.data, settings.cache);
  requireSupported(layerGraph(given));
  const task = taskOf(given, dataset, askedTask(settings));
  const headed = withHeadFor(given, task, settings);
  const { newHead } = headed;
  const labels = task.outputs.length === 1 ? (task.outputs[0]?.labels ?? []) : [];
  const outputFormat =
    settings.outputFormat === "auto" ? defaultFormat(headed.checkpoint) : settings.outputFormat;
  const checkpoint = forRelease(headed.checkpoint, outputFormat, settings);
  const writing = writingOptions(outputFormat, settings);
  const { classWeight } = settings;
  if (classWeight !== null && classWeight !== "balanced") requireKnownClasses(classWeight, task);
  const phasesAsked = askedPhases(settings, checkpoint, newHead !== undefined);
  const cutsOf = (policies: readonly (readonly FreezePolicy[] | undefined)[]): PhasedModel =>
    cutPhases(
      checkpoint,
      policies.map((freeze) => ({
        freeze,
        bnMode: settings.bnMode,
        headIsNew: newHead !== undefined,
        views: drawsViews(settings),
        kerasVersion: given.kerasVersion,
      })),
    );
  const cuts = cutsOf(phasesAsked.map(({ freeze }) => freeze));
  const { model, earliest: cut } = cuts;
  for (const phase of cuts.phases) requireTrainable(phase.cut);
  const { reader: plainReader, image } = inputOf(dataset, model, given, settings);
  const texts = takesTexts(model) ? textInputOf(given, dataset) : null;
  const objective = objectiveOf(task, model, given.kerasVersion);
  requireTargets(dataset, model, objective);
  const augmentation = augmentationOf(settings, { model, cut, dataset, image, objective });
  if (augmentation && image && typeof settings.augment !== "string") {
    await requireUsableLayers(augmentation.settings.layers, [...image.imageSize, image.channels]);
  }
  const reader =
    augmentation && image ? viewReader(image, augmentation.settings, augmentation.cutmix) : plainReader;
  const newLayers = newHead ? (checkpoint.notes.newLayers ?? []) : [];
  const ofFile = settings.optimizer === "file" ? fileOptimizer(given) : null;
  const withOptimizer = ofFile ? { ...settings, optimizer: ofFile.argument } : settings;
  const optimizersOf = (accumulate: number, phased: PhasedModel): readonly OptimizerConfig[] =>
    phasesAsked.map((phase, index) =>
      optimizerOf({ ...withOptimizer, accumulate }, phase, phased.phases[index]!.cut, newLayers),
    );
  const [asIs] = optimizersOf(settings.accumulate, cuts) as [OptimizerConfig];
  const engine = await ensureEngine();
  const extractionBatch = extractionBatchWithin(settings.memory, engine, cut, image?.imageSize);
  const planner = await runPlanner(
    {
      ...{ settings, checkpoint, cuts, asked: phasesAsked, optimizersOf, dataset, reader, image },
      ...{ augmentation, task, objective, engine, extractionBatch, hashOf },
    },
    { isTimed, started, counts },
  );
  const askedStep = { batchSize: settings.batchSize, accumulate: stepsPerUpdate(asIs) };
  const trainSamples = countOf(dataset, "train");
  const step =
    keptStep ??
    (settings.memory === null
      ? { batchSize: settings.batchSize, accumulate: settings.accumulate }
      : await fittedStep({
          asked: askedStep,
          memory: settings.memory,
          trainSamples,
          startsFresh: ofFile === null,
          bytesOf: async (some) => processBytes(await planner.plansOf(some)),
          headBytes: () => bytesOfHead(cutsOf, phasesAsked, planner),
        }));
  const split = Math.max(1, step.accumulate / askedStep.accumulate);
  const asked = phasesAsked.map((phase) => ({ ...phase, warmup: splitWarmup(phase.warmup, split) }));
  const optimizers = optimizersOf(step.accumulate, cuts);
  const [optimizer] = optimizers as [OptimizerConfig];
  const trained = cuts.phases[0]?.cut.partition.trainableWeights ?? new Map();
  const optimizerState = ofFile && stateOfTrained(ofFile, optimizer, trained, newLayers);
  const decided: DecidedSettings = {
    ...settings,
    ...step,
    warmup: splitWarmup(settings.warmup, split),
    ...recordedPhases(settings, asked, optimizers),
    cache: settings.cache ?? defaultCacheDirectory(),
    imageSize: image?.imageSize ?? null,
    preprocess: image?.preprocess ?? null,
    optimizer: { class_name: optimizer.className, config: optimizer.settings },
    loss: recordedLoss(task),
    layerDecay: layerDecayOf(settings),
    views: augmentation?.views ?? null,
    outputFormat,
  };
  const compiled = compiledConfig(
    task,
    kerasOptimizer(optimizer),
    dialectOf(checkpoint),
    checkpoint.kerasVersion,
  );
  const plans = await planner.timedPlans(step);
  const phases = cuts.phases.map(({ resolution, cut: own }, index): PreparedPhase => {
    const { epochs, schedule, warmup } = asked[index]!;
    const plan = plans[index]!;
    const { frozen, summary } = resolution;
    const decidedBy = { policy: summary, plan, frozen, optimizer: optimizers[index]! };
    return { ...own, number: index + 1, epochs, schedule, warmup, ...decidedBy };
  });
  const preprocessing = texts?.preprocessing ?? (image ? `${image.preprocess} (${image.reason})` : undefined);
  const facts = { settings: decided, given, newHead, dataset, preprocessing, isResumed: counts !== null };
  const { plan, planLines } = earliestPlan(facts, cuts, phases);
  return {
    settings: decided,
    checkpoint: {
      ...withCompileConfig(checkpoint, compiled),
      notes: { ...checkpoint.notes, ...notesOf(labels, image, settings) },
    },
    writing,
    dataset,
    ...cut,
    plan,
    planLines,
    phases,
    extractionBatch,
    optimizerState,
    hashOf,
    reader,
    augmentation,
    task,
    objective,
    labels,
    messages: [
      ...(ofFile ? [ofFile.line] : []),
      dataLine(dataset, labels),
      ...taskLines(task).map((line) => `task      ${line}`),
      ...(dataset.remarks ?? []).map((remark) => `data      ${remark}`),
      ...(settings.memory !== null && split > 1
        ? [fittedLine(step, sampleUnit(dataset), processBytes(plans), settings.memory)]
        : []),
    ],
    warnings: [
      ...task.warnings,
      ...compiled.leftOut.map(
        (what) =>
          `The written file does not name the ${what}: Keras has no word for it.${compiled.trainingConfig ? "" : " Keras opens the file uncompiled."}`,
      ),
      ...(dataset.warnings ?? []),
      ...new Set(cuts.phases.flatMap(({ resolution }) => resolution.warnings)),
      image?.warning,
      texts?.warning,
      ...optimizerWarnings(optimizer),
      ...(augmentation?.warnings ?? []),
      ...(split > 1 ? splitWarnings(cuts, optimizers, step, trainSamples) : []),
      ...(settings.memory === null && keptStep === null ? roomWarnings(plans, engine) : []),
      ...writingWarnings(
        withoutTextInput(headed.checkpoint),
        outputFormat,
        settings.outputKeras ? "early" : "current",
      ),
    ].filter((message) => message !== undefined),
  };
}

/** Tells the caller what was found and what is planned, and `more` after it. */
export function announce(run: PreparedRun, more: readonly string[] = []): void {
  const { messages, warnings, plan, planLines } = run;
  const { onProgress } = run.settings;
  for (const message of messages) onProgress({ kind: "note", message });
  for (const message of warnings) onProgress({ kind: "warning", message });
  onProgress({ kind: "plan", plan, lines: planLines });
  for (const message of more) onProgress({ kind: "note", message });
}

/** Returns the bytes that the run would take with one sample a step and nothing but the head trained; null where there is no head. */
async function bytesOfHead(
  cutsOf: (policies: readonly (readonly FreezePolicy[])[]) => PhasedModel,
  phases: readonly AskedPhase[],
  { plansOf }: RunPlanner,
): Promise<number | null> {
  try {
    const phased = cutsOf(phases.map(() => [freezeAllButHead()]));
    return processBytes(await plansOf({ batchSize: 1, accumulate: 1 }, phased));
  } catch (error) {
    if (error instanceof UsageError) return null;
    throw error;
  }
}

function askedTask(settings: RunSettings): AskedTask {
  const { loss, lossWeights, metrics, weightedMetrics, task, classes, keepHead, labelSmoothing } = settings;
  const asked = { lossWeights, metrics, weightedMetrics, task, classes };
  const given = Object.entries(asked).filter(([, value]) => value !== null);
  return { ...Object.fromEntries(given), keepHead, labelSmoothing, ...(loss !== "auto" && { loss }) };
}

/** Returns the checkpoint as the run compiles it, uncompiled where Keras has no words for that. */
function withCompileConfig(checkpoint: Checkpoint, { trainingConfig }: CompiledModel): Checkpoint {
  const { trainingConfig: _former, optimizerWeights: _stale, ...rest } = checkpoint;
  return { ...rest, ...(trainingConfig && { trainingConfig }) };
}

/** Refuses inputs and targets that the model does not take, before anything is extracted. */
function requireTargets(dataset: StoredDataset, graph: LayerGraph, objective: Objective): void {
  if (dataset.kind !== "arrays") return;
  const names = graph.inputs.map((input) => input.name);
  for (const batch of [dataset, ...(dataset.validation ? [dataset.validation] : [])]) {
    requireInputs(inputsInOrder(batch.inputs, names), graph);
    checkedTargets(objective, batch.targets, batchSamples(batch), batch.sampleWeights);
  }
}

function notesOf(
  labels: readonly string[],
  image: ImageInput | null,
  { bnMode }: RunSettings,
): Partial<Checkpoint["notes"]> {
  return {
    ...(labels.length > 0 && { labels }),
    ...(image && { preprocess: image.preprocess, imageSize: image.imageSize }),
    bnMode,
  };
}

/**
 * Returns a dataset whose samples can be counted and read in any order: one of batches is read once, its inputs into files beside the
 * cached features.
 */
async function inMemoryOrSpooled(dataset: Dataset, cache: string | false | null): Promise<StoredDataset> {
  const known = knownDataset(dataset);
  return known.kind === "batches" ? spoolBatches(known, localFolderOf(cache)) : known;
}

/** Spares reading files whose hashes are known. What is read now is written down with the features, not before. */
async function hashing({ cache }: RunSettings): Promise<PreparedRun["hashOf"]> {
  if (cache === false) return undefined;
  return (await indexBeside(cache ?? defaultCacheDirectory())).forRun();
}

function dataLine(dataset: StoredDataset, labels: readonly string[]): string {
  const classes = labels.length > 0 ? `${labels.length} classes, ` : "";
  return `data      ${classes}${countOf(dataset, "train")} + ${countOf(dataset, "val")} ${sampleUnit(dataset)}`;
}
