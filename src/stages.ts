/** @file The stages of a run as it passes them, for those who measure. */
import { channel } from "node:diagnostics_channel";

/** Name of the diagnostics channel on which each stage is published with `{ stage, time }`. */
const stages = channel("keras-finetune:stage");

/** Publishes that a stage of the run is over, with the milliseconds since 1970, to those who listen. */
export function endStage(stage: string): void {
  if (stages.hasSubscribers) stages.publish({ stage, time: performance.timeOrigin + performance.now() });
}
