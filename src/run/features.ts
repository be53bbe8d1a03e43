import type { Weights } from "../checkpoint.ts";
import { withWeights } from "../checkpoint.ts";
import type { Duplicate } from "../data/duplicates.ts";
import type { BadFile } from "../data/sample-reader.ts";
import { isSpooled } from "../data/spooled-batches.ts";
import type { EngineInfo } from "../engine/engine-info.ts";
import { releaseUnusedMemory } from "../engine/native-loader.ts";
import { namedMemoryError } from "../engine/out-of-memory.ts";
import { disposeLeftWork } from "../features/left-work.ts";
import type { FeatureFigures } from "../features/shard.ts";
import { arrayExamples } from "./array-examples.ts";
import { fileExamples } from "./file-examples.ts";
import type { NamedExamples, PhaseExamples } from "./phase-examples.ts";
import type { PreparedPhase } from "./phases.ts";
import type { PreparedRun } from "./prepared-run.ts";
import { storedExamples } from "./stored-examples.ts";

/** The features of a run, phase by phase. */
export interface RunFeatures {
  /** Returns the samples of a phase whose first epoch is `firstEpoch`, on what earlier phases have moved. They stay until the next call, or `close`. */
  open(phase: PreparedPhase, moved: Weights, firstEpoch: number): Promise<PhaseExamples>;
  /** Returns the validation samples at the earliest cut, which fits whatever has been trained; null where there are none. */
  validation(): Promise<NamedExamples | null>;
  /** Returns the figures of all phases so far. */
  figures(): FeatureFigures;
  /** Files that could not be used. */
  bad(): readonly BadFile[];
  /** Samples with the bytes of another one, in another split or class. */
  duplicates(): readonly Duplicate[];
  /** Releases what is held for later phases. */
  close(): Promise<void>;
}

/** Opens the samples of a run: what no phase trains runs once for each of them, or is read from the cache. */
export async function openFeatures(run: PreparedRun, engine: EngineInfo): Promise<RunFeatures> {
  const { dataset } = run;
  const weightsAfter = (moved: Weights): Weights =>
    moved.size === 0 ? run.checkpoint.weights : withWeights(run.checkpoint, moved).weights;
  const source =
    dataset.kind !== "arrays"
      ? await fileExamples(run, dataset, engine, weightsAfter)
      : isSpooled(dataset)
        ? storedExamples(run, dataset, weightsAfter)
        : arrayExamples(run, dataset, engine, weightsAfter);
  let [samples, bytes, seconds] = [0, 0, 0];
  let bad: readonly BadFile[] = [];
  let last: { readonly phase: PreparedPhase; readonly examples: PhaseExamples } | null = null;
  return {
    open: async (phase, moved, firstEpoch) => {
      last?.examples.dispose();
      last = null;
      const started = performance.now();
      const examples = await source.open(phase, moved, firstEpoch).catch((error: unknown) => {
        throw namedMemoryError(error);
      });
      disposeLeftWork();
      releaseUnusedMemory();
      seconds += (performance.now() - started) / 1000;
      bytes += examples.bytes;
      samples = Math.max(samples, examples.samples);
      bad = examples.bad;
      last = { phase, examples };
      return examples;
    },
    validation: async () => {
      if (last?.phase.partition !== run.partition) return source.validation();
      const { validation, validationNames } = last.examples;
      return validation && { examples: validation, names: validationNames };
    },
    figures: () => {
      const extracted = Math.min(samples, source.extracted());
      return { samples, extracted, cached: samples - extracted, bytes, seconds };
    },
    bad: () => bad,
    duplicates: source.duplicates,
    close: async () => {
      last?.examples.dispose();
      await source.close();
    },
  };
}
