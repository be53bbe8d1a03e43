/**
 * Where the time of small steps goes: dense-chain-parts.mjs MODEL DEPTH [clocks], the job of `dense-chain.mjs`, with `clocks` one around
 * everything that the engine does, which costs a little itself. Prints JSON: of a step, milliseconds and kernels.
 */
import { ensureEngine } from "../dist/engine/backend.js";
import { tf } from "../dist/engine/tf.js";
import { finetune } from "../dist/index.js";
import { chainOptions } from "./dense-chain-options.mjs";

const [model, depth, clocks] = process.argv.slice(2);
await ensureEngine();
const spent = { kernels: 0, transfers: 0, count: 0 };
let isInside = false;
/** Returns `call`, the time of which counts unless it is called by another that is timed. */
const timed =
  (part, call) =>
  (...given) => {
    if (isInside) return call(...given);
    isInside = true;
    const began = performance.now();
    try {
      return call(...given);
    } finally {
      spent[part] += performance.now() - began;
      if (part === "kernels") spent.count++;
      isInside = false;
    }
  };
const backend = tf.backend();
for (const kernel of clocks !== "clocks" ? [] : tf.getKernelsForBackend(tf.getBackend())) {
  tf.unregisterKernel(kernel.kernelName, kernel.backendName);
  tf.registerKernel({ ...kernel, kernelFunc: timed("kernels", kernel.kernelFunc) });
}
for (const name of clocks !== "clocks" ? [] : ["readSync", "write"]) {
  const call = backend[name];
  backend[name] = timed("transfers", (...given) => call.apply(backend, given));
}

const epochs = [];
let [began, before] = [0, { ...spent }];
const since = () => ({
  milliseconds: performance.now() - began,
  kernels: spent.kernels - before.kernels,
  transfers: spent.transfers - before.transfers,
  count: spent.count - before.count,
});
const restart = () => {
  [began, before] = [performance.now(), { ...spent }];
};
let stepped;
const clock = {
  name: "clock",
  examples: (_epoch, given) => {
    restart();
    return given;
  },
  stepEnd: ({ step, steps }) => {
    if (step < steps) return;
    stepped = { ...since(), steps };
    restart();
  },
  epochEnd: () => {
    epochs.push({ stepped, judged: since() });
  },
};
await finetune({ ...chainOptions(model, depth), callbacks: [clock] });
const mean = (figure) => epochs.reduce((sum, epoch) => sum + figure(epoch), 0) / epochs.length;
const perStep = (name) => mean(({ stepped: all }) => all[name] / all.steps);
process.stdout.write(
  `\n${JSON.stringify({
    step: perStep("milliseconds"),
    kernels: perStep("kernels"),
    transfers: perStep("transfers"),
    count: perStep("count"),
    judged: mean(({ judged }) => judged.milliseconds),
  })}\n`,
);
