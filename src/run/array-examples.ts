import type { Weights } from "../checkpoint.ts";
import { inputsInOrder, sampleCount as samplesIn } from "../data/arrays.ts";
import type { ArrayDataset, Batch, Split } from "../data/dataset.ts";
import type { EngineInfo } from "../engine/engine-info.ts";
import { engineVersion } from "../engine/engine-info.ts";
import { extractArrays } from "../features/array-features.ts";
import { sharedMemory } from "../features/array-memory.ts";
import { laterTrunkKeyOf, trunkKeyOf } from "../features/cache/trunk-key.ts";
import { tensorRows } from "../features/sample-rows.ts";
import type { StaticProgram } from "../features/trunk.ts";
import { splitProgram, staticProgram, takeStaticProgram } from "../features/trunk.ts";
import { requireInputs } from "../task/inputs.ts";
import { checkedTargets } from "../task/targets.ts";
import type { InputTensor, Tensor } from "../tensor.ts";
import type { Examples } from "../training/example-set.ts";
import { sampleCount } from "../training/example-set.ts";
import { examplesOf } from "../training/examples.ts";
import type { ExampleSource } from "./file-examples.ts";
import { numbered, viewedExamples, weightingOf } from "./phase-examples.ts";
import type { PreparedPhase } from "./phases.ts";
import type { PreparedRun } from "./prepared-run.ts";

/** Returns the frontier tensors of one view of a batch at the cut of a phase. */
type Extract = (batch: Batch, view: number) => Promise<readonly Tensor[]>;

/** Opens the arrays of a run, as `fileExamples` opens files: those of the earliest cut are computed once and held. */
export function arrayExamples(
  run: PreparedRun,
  dataset: ArrayDataset,
  engine: EngineInfo,
  weightsAfter: (moved: Weights) => Weights,
): ExampleSource {
  const names = run.graph.inputs.map((input) => input.name);
  const isDrawn = (run.augmentation?.views ?? null) !== null;
  let computed = 0;
  const compute = (
    part: StaticProgram,
    inputs: readonly InputTensor[],
    view: number | undefined,
  ): Promise<readonly Tensor[]> =>
    extractArrays(part, inputs, {
      batchSize: run.extractionBatch,
      drawn: view === undefined ? undefined : { view, seed: run.settings.seed },
      signal: run.settings.signal ?? undefined,
      onProgress: (done) =>
        run.settings.onProgress({
          ...{ kind: "extract", unit: "samples", done, cached: 0 },
          total: inputs[0]?.shape[0] ?? 0,
        }),
    });
  const memory = sharedMemory(dataset);
  const identity = {
    ...{ input: {}, storage: "float32" as const, batchSize: run.extractionBatch },
    engine: { name: engine.name, version: engineVersion(engine) },
  };
  /** Looks into what other runs have computed first, where there are some. */
  const remembered = (keyOf: () => string, extract: Extract): Extract => {
    if (!memory) return extract;
    const key = keyOf();
    const viewOf = (view: number): string => (isDrawn ? `view ${view} of seed ${run.settings.seed}` : "");
    return (batch, view) => memory.features(batch, `${key} ${viewOf(view)}`, () => extract(batch, view));
  };
  const direct = (part: StaticProgram): Extract =>
    remembered(
      () => trunkKeyOf({ ...part, ...identity }),
      async (batch, view) => {
        computed += samplesIn(batch.inputs);
        const inputs = requireInputs(inputsInOrder(batch.inputs, names), run.graph);
        return compute(part, inputs, isDrawn ? view : undefined);
      },
    );
  const held = run.phases.length > 1 ? holding(direct(takeStaticProgram(run, run.checkpoint.weights))) : null;
  const extractOf = (phase: PreparedPhase, moved: Weights): Extract => {
    const weights = weightsAfter(moved);
    if (!held) return direct(takeStaticProgram(phase, weights));
    if (phase.partition === run.partition) return held;
    const split = splitProgram(run, phase, weights);
    const later = (): string => {
      const [direct, earlier] = [staticProgram(phase, weights), staticProgram(run, weights)];
      const earlierKey = trunkKeyOf({ ...earlier, ...identity });
      return laterTrunkKeyOf({ ...identity, ...split, direct, earlierKey });
    };
    return remembered(later, async (batch, view) =>
      compute(split.between, await held(batch, view), undefined),
    );
  };
  return {
    open: async (phase, moved, firstEpoch) => {
      const extract = extractOf(phase, moved);
      const { validation } = dataset;
      return viewedExamples(run, phase, firstEpoch, {
        train: (view) => splitExamples(run, extract, dataset, "train", view),
        validation: validation && (() => splitExamples(run, extract, validation, "val", 0)),
        dispose: () => {},
      });
    },
    validation: async () => {
      if (!held || !dataset.validation) return null;
      const examples = await splitExamples(run, held, dataset.validation, "val", 0);
      return { examples, names: numbered(sampleCount(examples)) };
    },
    extracted: () => computed,
    duplicates: () => [],
    close: async () => {},
  };
}

/** Returns the same extraction with a memory: a view that is asked for again is not computed again. */
function holding(extract: Extract): Extract {
  const known = new Map<Batch, Map<number, Promise<readonly Tensor[]>>>();
  return (batch, view) => {
    const views = known.get(batch) ?? new Map<number, Promise<readonly Tensor[]>>();
    known.set(batch, views);
    const tensors = views.get(view) ?? extract(batch, view);
    views.set(view, tensors);
    return tensors;
  };
}

async function splitExamples(
  run: PreparedRun,
  extract: Extract,
  batch: Batch,
  split: Split,
  view: number,
): Promise<Examples> {
  const total = samplesIn(batch.inputs);
  const targets = checkedTargets(run.objective, batch.targets, total, batch.sampleWeights);
  const tensors = await extract(batch, view);
  return examplesOf(tensors.map(tensorRows), targets, weightingOf(run, split));
}
