import { withoutTextInput } from "../architectures/hub/text-preprocessor.ts";
import type { Checkpoint } from "../checkpoint.ts";
import { inputsInOrder } from "../data/arrays.ts";
import type { StoredDataset } from "../data/dataset.ts";
import { sampleUnit } from "../data/dataset.ts";
import { batchSamples } from "../data/spooled-batches.ts";
import { takesTexts } from "../data/texts.ts";
import { ensureEngine } from "../engine/backend.ts";
import { releaseUnusedMemory } from "../engine/native-loader.ts";
import { precisionWarnings } from "../engine/precision.ts";
import { boundGpuMemory } from "../engine/webgpu/buffers.ts";
import { UsageError } from "../errors.ts";
import { defaultCacheDirectory, requireNoLimitInBucket } from "../features/cache/cache-directory.ts";
import type { PhasedModel } from "../features/cut.ts";
import { cutPhases } from "../features/cut.ts";
import { extractionBatchWithin } from "../features/extraction-batch.ts";
import { requireUsableLayers } from "../features/views/view-pixels.ts";
import { viewReader } from "../features/views/view-reader.ts";
import { writingWarnings } from "../formats/formats.ts";
import type { FreezePolicy } from "../freeze/policy.ts";
import { freezeAllButHead } from "../freeze/policy.ts";
import { endStage } from "../stages.ts";
import type { CompiledModel } from "../task/compiled-config.ts";
import { compiledConfig } from "../task/compiled-config.ts";
import { requireInputs } from "../task/inputs.ts";
import type { Objective } from "../task/objective.ts";
import { objectiveOf } from "../task/objective.ts";
import { checkedTargets } from "../task/targets.ts";
import { taskLines } from "../task/task-text.ts";
import { dialectOf } from "../topology/dialects/dialect.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";
import { fileOptimizer, stateOfTrained } from "../training/file-optimizer.ts";
import type { OptimizerConfig } from "../training/optimizer-config.ts";
import { kerasOptimizer, optimizerWarnings, stepsPerUpdate } from "../training/optimizer-config.ts";
import { augmentationOf, drawsViews } from "./augmentation.ts";
import { countOf } from "./cost.ts";
import type { DecidedSettings } from "./decided-settings.ts";
import { recordedLoss, recordedPhases } from "./decided-settings.ts";
import { requireTensorsFit } from "./gpu-limits.ts";
import type { ImageInput } from "./image-input.ts";
import { inputOf } from "./image-input.ts";
import type { StepSize } from "./memory.ts";
import { fittedLine, fittedStep, processBytes, roomWarnings, splitWarmup, splitWarnings } from "./memory.ts";
import { optimizerOf, requireTrainable } from "./phase-optimizer.ts";
import type { PreparedPhase } from "./phases.ts";
import { askedPhases } from "./phases.ts";
import type { PlanTiming, RunPlanner } from "./planned-run.ts";
import { earliestPlan, runPlanner } from "./planned-run.ts";
import type { PreparedRun } from "./prepared-run.ts";
import type { AskedPhase } from "./recipes.ts";
import { layerDecayOf } from "./recipes.ts";
import type { RunSettings } from "./settings.ts";
import type { TaskModel } from "./task-model.ts";
import { openTaskModel } from "./task-model.ts";
import { textInputOf } from "./text-input.ts";

interface Preparation extends Partial<PlanTiming> {
  readonly step?: StepSize | null;
}

/**
 * Reads the model and lists the data, gives the model the head that the data needs, and cuts it where the policies say.
 * @param preparation.isTimed False where nobody reads the plan's seconds: then no part of the run is timed on samples for them.
 * @param preparation.runs True if the run follows: a trial then leaves weights on the engine, until `disposeLeftWork`.
 * @param preparation.step The steps of a run that goes on, or of one that takes none; otherwise as asked, and fewer samples in each
 * where the memory is too little.
 * @throws {UsageError | TopologyError | KerasFileError | DataError} for whatever would stop the run, before anything is computed.
 */
export async function prepareRun(
  settings: RunSettings,
  {
    isTimed = true,
    runs = false,
    started = performance.now(),
    counts = null,
    step: keptStep = null,
  }: Preparation = {},
): Promise<PreparedRun> {
  requireNoLimitInBucket(settings.cache, settings.cacheMax);
  const opened = await openTaskModel(settings);
  const { given, checkpoint, newHead, outputFormat, writing, dataset, files, task, labels } = opened;
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
  const engine = await ensureEngine(settings.precision);
  const rowsWithin = (memory: number | null): number =>
    extractionBatchWithin(memory, engine, cut, image?.imageSize);
  const extractionBatch = rowsWithin(settings.memory);
  // The plan counts what the process holds now.
  releaseUnusedMemory();
  const planner = await runPlanner(
    {
      ...{ settings, checkpoint, cuts, asked: phasesAsked, optimizersOf, dataset, reader, image },
      ...{ augmentation, task, objective, engine, extractionBatch, hashOf: files?.hashOf },
    },
    { isTimed, runs, started, counts },
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
          rowsWithin,
          bytesOf: async (some, rows) => processBytes(await planner.plansOf(some, rows)),
          headBytes: (rows) => bytesOfHead(cutsOf, phasesAsked, planner, rows),
        }));
  requireTensorsFit(
    engine,
    cuts.phases.map(({ cut: own }) => own),
    { extraction: extractionBatch, step: step.batchSize },
    image?.imageSize,
  );
  boundGpuMemory(settings.memory);
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
    precision: engine.precision,
    views: augmentation?.views ?? null,
    outputFormat,
  };
  const compiled = compiledConfig(
    task,
    kerasOptimizer(optimizer),
    dialectOf(checkpoint),
    checkpoint.kerasVersion,
  );
  endStage("speed");
  const plans = await planner.timedPlans(step);
  releaseUnusedMemory();
  endStage("plan");
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
    files,
    reader,
    augmentation,
    task,
    objective,
    labels,
    messages: [
      ...(ofFile ? [ofFile.line] : []),
      ...taskMessages(opened),
      ...(settings.memory !== null && split > 1
        ? [fittedLine(step, sampleUnit(dataset), processBytes(plans), settings.memory)]
        : []),
    ],
    warnings: [
      ...task.warnings,
      ...leftOutWarnings(compiled),
      ...(dataset.warnings ?? []),
      ...new Set(cuts.phases.flatMap(({ resolution }) => resolution.warnings)),
      image?.warning,
      texts?.warning,
      ...optimizerWarnings(optimizer),
      ...(augmentation?.warnings ?? []),
      ...(split > 1 ? splitWarnings(cuts, optimizers, step, trainSamples) : []),
      ...precisionWarnings(engine.precision),
      ...(settings.memory === null && keptStep === null ? roomWarnings(plans, engine) : []),
      ...formatWarnings(opened, settings),
    ].filter((message) => message !== undefined),
  };
}

/** Returns the bytes that the run would take with one sample a step and nothing but the head trained; null where there is no head. */
async function bytesOfHead(
  cutsOf: (policies: readonly (readonly FreezePolicy[])[]) => PhasedModel,
  phases: readonly AskedPhase[],
  { plansOf }: RunPlanner,
  rows: number,
): Promise<number | null> {
  try {
    const phased = cutsOf(phases.map(() => [freezeAllButHead()]));
    return processBytes(await plansOf({ batchSize: 1, accumulate: 1 }, rows, phased));
  } catch (error) {
    if (error instanceof UsageError) return null;
    throw error;
  }
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

/** Returns the lines that say what was found in the data and what is learned from it. */
function taskMessages({ dataset, labels, task }: TaskModel): readonly string[] {
  const classes = labels.length > 0 ? `${labels.length} classes, ` : "";
  return [
    `data      ${classes}${countOf(dataset, "train")} + ${countOf(dataset, "val")} ${sampleUnit(dataset)}`,
    ...taskLines(task).map((line) => `task      ${line}`),
    ...(dataset.remarks ?? []).map((remark) => `data      ${remark}`),
  ];
}

function leftOutWarnings({ leftOut, trainingConfig }: CompiledModel): readonly string[] {
  const uncompiled = trainingConfig ? "" : " Keras opens the file uncompiled.";
  return leftOut.map(
    (what) => `The written file does not name the ${what}: Keras has no word for it.${uncompiled}`,
  );
}

function formatWarnings(
  { headed, outputFormat }: TaskModel,
  { outputKeras }: RunSettings,
): readonly string[] {
  return writingWarnings(withoutTextInput(headed), outputFormat, outputKeras ? "early" : "current");
}
