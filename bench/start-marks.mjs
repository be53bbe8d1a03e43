/** Prints the stages of a run as it passes them, at once: loaded by `node --import` in `start.mjs`. Times are milliseconds since 1970. */
import { subscribe } from "node:diagnostics_channel";
import { writeSync } from "node:fs";
import { isMainThread } from "node:worker_threads";

const tell = (name, time) => writeSync(2, `start-mark ${JSON.stringify([name, time])}\n`);
if (isMainThread) tell("node", performance.timeOrigin + performance.now());
subscribe("keras-finetune:stage", ({ stage, time }) => tell(stage, time));
