import { ensureEngine } from "../engine/backend.ts";
import { optionError, optionName, positiveNumber, wholeNumber } from "../options.ts";
import type { RangeTest } from "../training/range-test.ts";
import { rangeTest } from "../training/range-test.ts";
import type { RatePoint, RateSuggestions } from "../training/rate-suggestions.ts";
import { lossFall, rateSuggestions } from "../training/rate-suggestions.ts";
import { openFeatures } from "./features.ts";
import { openRunFolder } from "./folder.ts";
import { writeRateSearch } from "./learning-rate-folder.ts";
import { phaseTail } from "./open-phase.ts";
import type { FinetuneOptions } from "./options.ts";
import { prepareRun } from "./prepare.ts";
import type { PreparedRun } from "./prepared-run.ts";
import { announce } from "./prepared-run.ts";
import { resolveOptions } from "./settings.ts";

/** Options of a search: those of the run that the rate is for, and those of the test. */
export interface LearningRateOptions extends FinetuneOptions {
  /** Updates, each at a higher rate than the one before, 10 or more. Defaults to 100. */
  readonly steps?: number | undefined;
  /** Rate of the first update. Defaults to 1e-7. */
  readonly startRate?: number | undefined;
  /** Rate of the last update, above `startRate`. Defaults to 10. */
  readonly endRate?: number | undefined;
}

/** Curve of a range test and the rates that it suggests. */
export interface LearningRateSearch {
  /** One point for each update, in rising order of the rate. */
  readonly curve: readonly RatePoint[];
  /** Rate in the middle of the curve's valley, fastai's suggestion; null where the loss falls nowhere. */
  readonly suggestion: number | null;
  /** All suggestions by their rules; null where the loss falls nowhere. */
  readonly suggestions: RateSuggestions | null;
  /** Share of the smoothed loss at the start by which it falls to its lowest. Below 0.05 a warning says that noise may have made the curve. */
  readonly fall: number;
  /** True if the test ended early because the loss had grown to four times its lowest, or was not finite. */
  readonly diverged: boolean;
  /** Path of the written page; absent without `out`. */
  readonly report?: string;
}

/**
 * Finds a learning rate by Leslie Smith's range test: trains the first phase of a run for some steps on its cached features, with a rate
 * that rises exponentially, and reads suggestions off the curve of the loss. The model is not written, and no state is kept; with
 * `out` the curve is. `learningRate`, `schedule` and `warmup` have no effect, because the test sets the rate. The same seed gives the
 * same curve to the bit.
 * @throws {UsageError | TopologyError | KerasFileError | DataError} for whatever would stop the run, before anything is computed.
 *
 * @example
 * const { suggestion } = await findLearningRate({ model: "resnet50.h5", data: "photos/", freeze: freezeUntil("conv4") });
 * if (suggestion !== null) await finetune({ model: "resnet50.h5", data: "photos/", learningRate: suggestion });
 */
export async function findLearningRate(given: LearningRateOptions): Promise<LearningRateSearch> {
  const { steps = 100, startRate = 1e-7, endRate = 10, ...options } = given;
  requireRange(steps, startRate, endRate);
  const settings = resolveOptions(options);
  const engine = await ensureEngine(settings.precision);
  const run = await prepareRun(settings, { isTimed: false });
  announce(run);
  const { out, overwrite } = settings;
  const folder = out === null ? null : openRunFolder(out, { overwrite });
  try {
    const features = await openFeatures(run, engine);
    const test = await testRange(run, features.open, { steps, startRate, endRate }).finally(features.close);
    const suggestions = rateSuggestions(test.curve, steps);
    const fall = lossFall(test.curve, steps);
    if (suggestions && fall < smallFall) {
      const message = `learning rate: the loss falls by ${(100 * fall).toFixed(1)} % only, which noise may do; the suggestion means little. Try a larger ${optionName("batchSize")}, or an earlier cut.`;
      settings.onProgress({ kind: "warning", message });
    }
    const found = { ...test, suggestion: suggestions?.valley ?? null, suggestions, fall };
    if (out === null) return found;
    return { ...found, report: await writeRateSearch(out, found, run) };
  } finally {
    folder?.discard();
  }
}

/** Least share of the loss that counts as a fall. */
const smallFall = 0.05;

interface Range {
  readonly steps: number;
  readonly startRate: number;
  readonly endRate: number;
}

async function testRange(
  run: PreparedRun,
  open: Awaited<ReturnType<typeof openFeatures>>["open"],
  range: Range,
): Promise<RangeTest> {
  const { batchSize, seed, accumulate, signal, onProgress } = run.settings;
  const [phase] = run.phases;
  if (!phase) throw new Error("learning rate: expected a run with a phase");
  const { train, callbacks } = await open(phase, new Map(), 1);
  const tail = phaseTail(run, phase, run.checkpoint.weights, 0);
  try {
    return await rangeTest(tail, {
      ...range,
      examples: train,
      callbacks,
      epochs: phase.epochs,
      ...{ batchSize, seed, accumulate, signal: signal ?? undefined },
      onStep: (step, loss) =>
        onProgress({ kind: "step", epoch: 1, epochs: 1, step, steps: range.steps, loss }),
    });
  } finally {
    tail.dispose();
  }
}

function requireRange(steps: number, startRate: number, endRate: number): void {
  wholeNumber(10)(steps, (expected) => optionError("steps", expected, steps));
  positiveNumber(startRate, (expected) => optionError("startRate", expected, startRate));
  positiveNumber(endRate, (expected) => optionError("endRate", expected, endRate));
  if (endRate <= startRate) throw optionError("endRate", `a rate above ${startRate}, the first`, endRate);
}
