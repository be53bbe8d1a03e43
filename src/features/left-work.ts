/** @file Work that a plan's trial leaves for the run that follows, by static part: its weights on the engine, and samples it has computed. */
import type { SampleView } from "../data/sample-batches.ts";
import type { LayerWeights } from "../model/uploads.ts";
import { disposeWeights } from "../model/uploads.ts";
import type { ComputedSample } from "./file-features.ts";

/** Samples computed in a batch padded as the run's are, by their paths. */
interface LeftBatch {
  readonly batchSize: number;
  readonly samples: ReadonlyMap<string, Omit<ComputedSample<SampleView>, "sample">>;
}

const leftWeights = new Map<object, LayerWeights>();
const leftBatches = new Map<object, LeftBatch>();

/** Keeps weights on the engine for the next trunk of the same static part. */
export function leaveWeights(part: object, weights: LayerWeights): void {
  leftWeights.set(part, weights);
}

/** Returns the weights that were left, which become the caller's. */
export function takeWeights(part: object): LayerWeights | undefined {
  const weights = leftWeights.get(part);
  leftWeights.delete(part);
  return weights;
}

/** Keeps what was computed of samples themselves, not of views of them, for the next computation from files by the same static part. */
export function leaveComputed(
  part: object,
  batchSize: number,
  samples: readonly ComputedSample<SampleView>[],
): void {
  leftBatches.set(part, {
    batchSize,
    samples: new Map(samples.map(({ sample, ...made }) => [sample.path, made])),
  });
}

/** Returns the samples that have been computed already, which are forgotten, and the others. */
export function takeComputed<Asked extends SampleView>(
  part: object,
  batchSize: number,
  samples: readonly Asked[],
): { readonly known: readonly ComputedSample<Asked>[]; readonly others: readonly Asked[] } {
  const left = leftBatches.get(part);
  leftBatches.delete(part);
  if (left?.batchSize !== batchSize) return { known: [], others: samples };
  const known: ComputedSample<Asked>[] = [];
  const others = samples.filter((sample) => {
    const made = (sample.view ?? 0) === 0 ? left.samples.get(sample.path) : undefined;
    if (made) known.push({ sample, ...made });
    return !made;
  });
  return { known, others };
}

/** Releases what nobody has taken. */
export function disposeLeftWork(): void {
  for (const weights of leftWeights.values()) disposeWeights(weights);
  leftWeights.clear();
  leftBatches.clear();
}
