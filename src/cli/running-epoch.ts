import { formatSeconds } from "../cli-api.ts";
import type { Paint } from "./paint.ts";
import { figure } from "./run-text.ts";

/** An epoch that is being trained. */
export interface RunningEpoch {
  /** Counted from 1 over the whole run, as `epochs` is. */
  readonly epoch: number;
  readonly epochs: number;
  readonly step: number;
  readonly steps: number;
  /** Mean loss of the epoch so far. */
  readonly loss: number;
  /** Losses since the run began, oldest first. */
  readonly course: readonly number[];
  /** Steps a second; null until two steps tell it. */
  readonly rate: number | null;
  /** Seconds that the last epoch of the run took, with its validation; null in the first. */
  readonly lastSeconds: number | null;
}

const longestSparkline = 16;
const shortestSparkline = 6;

/**
 * Returns one line of at most `width` columns: the epoch, a sparkline of the loss, the steps, their rate, the loss, the time left in the
 * epoch, and of the whole run. What does not fit is left out, the least needed first.
 * @param hasBlocks True if the terminal shows block elements.
 */
export function runningLine(given: RunningEpoch, width: number, hasBlocks: boolean, paint: Paint): string {
  const { epoch, epochs, step, steps, loss, course, rate } = given;
  const left = rate === null ? null : (steps - step) / rate;
  const whole = wholeSeconds(given);
  const parts = {
    epoch: `epoch ${String(epoch).padStart(String(epochs).length)}/${epochs}`,
    steps: `${step}/${steps}`,
    rate: rate === null ? "" : rateText(rate),
    loss: `loss ${figure(loss)}`,
    left: left === null ? "" : `${formatSeconds(left)} left`,
    whole: whole === null || epoch === epochs ? "" : `run ${formatSeconds(whole)} left`,
  };
  const order = ["epoch", "steps", "rate", "loss", "left", "whole"] as const;
  let shown = order.filter((name) => parts[name] !== "");
  const lengthOf = (names: typeof shown): number =>
    names.reduce((sum, name) => sum + parts[name].length + 2, -2);
  for (const name of ["rate", "whole", "left", "steps", "loss"] as const) {
    if (lengthOf(shown) > width) shown = shown.filter((other) => other !== name);
  }
  const room = Math.min(longestSparkline, width - lengthOf(shown) - 2);
  const curve = hasBlocks && room >= shortestSparkline ? sparkline(course, room) : "";
  const [first = "", ...rest] = shown.map((name) => parts[name]);
  const texts = curve === "" ? [first, ...rest] : [first, paint("cyan", curve), ...rest];
  return texts.join("  ").slice(0, curve === "" ? width : undefined);
}

/** Returns the seconds until the whole run is over, by the last epoch's where there is one; patience may end it before. */
function wholeSeconds({ epoch, epochs, step, steps, rate, lastSeconds }: RunningEpoch): number | null {
  if (lastSeconds !== null) return lastSeconds * (epochs - epoch + 1 - step / steps);
  return rate === null ? null : ((epochs - epoch + 1) * steps - step) / rate;
}

/** Returns a rate of at least one step a second as such, and a lower one as the seconds that a step takes. */
function rateText(rate: number): string {
  return rate >= 1 ? `${rate.toFixed(1)} steps/s` : `${(1 / rate).toFixed(1)} s/step`;
}

const blocks = "▁▂▃▄▅▆▇█";

/** Draws values as at most `width` blocks, each the mean of as many of them, from the lowest to the highest. */
export function sparkline(values: readonly number[], width: number): string {
  const count = Math.min(width, values.length);
  const means = Array.from({ length: count }, (_, index) => {
    const part = values.slice(
      Math.floor((index * values.length) / count),
      Math.floor(((index + 1) * values.length) / count),
    );
    return part.reduce((sum, value) => sum + value, 0) / part.length;
  });
  const low = Math.min(...means);
  const range = Math.max(...means) - low;
  return means
    .map((value) => blocks[range > 0 ? Math.round(((value - low) / range) * (blocks.length - 1)) : 0])
    .join("");
}
