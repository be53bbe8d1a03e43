/** @file Samples with a class in each pixel, judged one by one. */
import { highest } from "../task/metrics/accuracies.ts";
import type { MetricBatch } from "../task/metrics/metric.ts";
import type { OutputObjective } from "../task/objective.ts";
import type { TaskOutput } from "../task/task.ts";

/** One judged mask: a class for each pixel, row-major. */
export interface JudgedMask {
  /** The sample's number among those that were judged. */
  readonly row: number;
  /** Share of the pixels that are right, 0 to 1; those that the loss ignores do not count. */
  readonly right: number;
  readonly height: number;
  readonly width: number;
  readonly truth: Uint8Array;
  readonly predicted: Uint8Array;
}

export interface MaskKeeper {
  add(batch: MetricBatch): void;
  /** Returns the masks with the fewest right pixels, worst first. */
  masks(): readonly JudgedMask[];
}

/** At most so many masks are kept. */
const mostMasks = 8;

/** Returns a keeper of the worst masks; null for an output that has no class in each pixel. */
export function maskKeeper(task: TaskOutput, { loss, shape }: OutputObjective): MaskKeeper | null {
  const { units, kind, perPosition, activation } = task;
  if (kind !== "classes" || !perPosition || units === null || shape.length !== 4 || !loss) return null;
  const threshold = activation === "linear" ? 0 : 0.5;
  const isIndices = loss.targets === "indices";
  const ignored = loss.settings["ignore_class"];
  let worst: JudgedMask[] = [];
  let judged = 0;
  return {
    add: ({ outputs, targets }) => {
      const [count = 0, height = 0, width = 0] = outputs.shape;
      const pixels = height * width;
      const isOverThreshold = (value: number): number => (value > threshold ? 1 : 0);
      const predicted =
        units === 1 ? Uint8Array.from(outputs.data, isOverThreshold) : Uint8Array.from(highest(outputs));
      const truth =
        units === 1
          ? Uint8Array.from(targets.data, (value) => (value > 0.5 ? 1 : 0))
          : Uint8Array.from(isIndices ? targets.data : highest(targets));
      for (let row = 0; row < count; row++) {
        const own = truth.subarray(row * pixels, (row + 1) * pixels);
        const found = predicted.subarray(row * pixels, (row + 1) * pixels);
        worst.push({
          row: judged + row,
          right: shareOfRight(own, found, ignored),
          height,
          width,
          truth: own.slice(),
          predicted: found.slice(),
        });
      }
      judged += count;
      worst = worst.sort((a, b) => a.right - b.right).slice(0, mostMasks);
    },
    masks: () => worst,
  };
}

function shareOfRight(truth: Uint8Array, predicted: Uint8Array, ignored: unknown): number {
  let [right, counted] = [0, 0];
  for (const [index, value] of truth.entries()) {
    if (value === ignored) continue;
    counted++;
    if (value === predicted[index]) right++;
  }
  return counted === 0 ? 1 : right / counted;
}
