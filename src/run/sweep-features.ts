/** @file Extraction for a sweep: what its runs read from the cache is computed once before them. */
import type { EngineInfo } from "../engine/engine-info.ts";
import type { FreezePolicy } from "../freeze/policy.ts";
import { openFeatures } from "./features.ts";
import type { PhaseOptions } from "./options.ts";
import { usualEpochs } from "./phases.ts";
import { prepareRun } from "./prepare.ts";
import type { RunSettings } from "./settings.ts";

/** Options that features do not depend on. */
const afterFeatures = {
  batchSize: 32,
  learningRate: "auto",
  optimizer: "Adam",
  schedule: "constant",
  warmup: 0,
  momentum: null,
  weightDecay: null,
  layerDecay: null,
  clipNorm: null,
  clipValue: null,
  globalClipNorm: null,
  accumulate: 1,
  ema: null,
  out: null,
  phases: null,
  recipe: null,
} as const satisfies Partial<RunSettings>;

/** Figures of an extraction. */
export interface SweepFeatures {
  /** Samples, or views of them, that went through the model's frozen part. */
  readonly extracted: number;
  readonly seconds: number;
}

/**
 * Extracts the features of all cuts that the runs have, where there are several: those of the earliest cut from the samples, those of
 * later ones from the earlier. The runs then find them in the cache. A later cut whose features would differ in the last bits from a
 * direct extraction is left to its run.
 */
export async function extractForSweep(
  runs: readonly RunSettings[],
  engine: EngineInfo,
): Promise<SweepFeatures> {
  let [extracted, seconds] = [0, 0];
  for (const { shared, cuts } of groupsOf(runs)) {
    if (cuts.length < 2 || shared.views === 0) continue;
    const epochs = shared.epochs === "auto" ? usualEpochs : shared.epochs;
    const phases = cuts.map((freeze): PhaseOptions => ({ freeze, epochs }));
    const run = await prepareRun({ ...shared, freeze: "auto", epochs: "auto", phases }, { isTimed: false });
    const features = await openFeatures(run, engine);
    try {
      for (const phase of run.phases) await features.open(phase, new Map(), 1);
      const figures = features.figures();
      extracted += figures.extracted;
      seconds += figures.seconds;
    } finally {
      await features.close();
    }
  }
  return { extracted, seconds };
}

/** Runs whose features are the same but for the cut. */
interface FeatureGroup {
  readonly shared: RunSettings;
  /** Each cut once. */
  readonly cuts: readonly (readonly FreezePolicy[])[];
}

function groupsOf(runs: readonly RunSettings[]): readonly FeatureGroup[] {
  const groups = new Map<string, { shared: RunSettings; cuts: Map<string, readonly FreezePolicy[]> }>();
  for (const settings of runs) {
    const { freeze } = settings;
    if (freeze === "auto" || settings.phases !== null) continue;
    const hasViews = settings.augment !== null || settings.views !== "auto";
    const shared = {
      ...settings,
      ...afterFeatures,
      freeze: "auto" as const,
      ...(hasViews ? {} : { seed: 0, epochs: "auto" as const }),
    };
    const { model: _model, data: _data, ...plain } = shared;
    const key = JSON.stringify(plain);
    const group = groups.get(key) ?? { shared, cuts: new Map() };
    groups.set(key, group);
    const cut = "kind" in freeze ? [freeze] : freeze;
    group.cuts.set(JSON.stringify(cut), cut);
  }
  return [...groups.values()].map(({ shared, cuts }) => ({ shared, cuts: [...cuts.values()] }));
}
