/** Prints what a run marks on its way, at once: loaded by `node --import` in `start.mjs`. Times are milliseconds since 1970. */
import { writeSync } from "node:fs";
import { isMainThread } from "node:worker_threads";

const tell = (name, time) => writeSync(2, `start-mark ${JSON.stringify([name, time])}\n`);
if (isMainThread) tell("node", performance.timeOrigin + performance.now());
const mark = performance.mark.bind(performance);
performance.mark = (name, ...options) => {
  const made = mark(name, ...options);
  const [owner, stage] = name.split(": ");
  if (owner === "keras-finetune") tell(stage, performance.timeOrigin + made.startTime);
  return made;
};
