/** One run in a process of its own: prints what its plan predicted and what it took. */
import { loadavg } from "node:os";
import { finetune, freeze, freezeAllButHead, freezeUntil, useEngine } from "../dist/index.js";

const { clock, engine, model, data, cut, batchSize, epochs, folder } = JSON.parse(process.argv[2]);
if (clock === "cpu") {
  // Everything that the run times is then in processor time, which other work of the machine does not lengthen.
  performance.now = () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  };
}
useEngine(engine);
const policy = cut === "head" ? freezeAllButHead() : cut === "nothing" ? freeze("none") : freezeUntil(cut);
const load = loadavg()[0];
const { plan, measured } = await finetune({
  model,
  data,
  freeze: policy,
  batchSize,
  epochs,
  cache: `${folder}/cache`,
  out: `${folder}/run`,
});
const { cost } = plan;
process.stdout.write(
  `\n${JSON.stringify({
    predicted: {
      epoch: cost.run.epochSeconds,
      extraction: cost.run.extractionSeconds,
      run: cost.run.seconds,
      memory: cost.processBytes,
    },
    measured: {
      epoch: measured.epochSeconds,
      extraction: measured.extractionSeconds,
      run: measured.runSeconds,
      memory: measured.peakBytes,
    },
    parts: cost.run,
    load: Math.max(load, loadavg()[0]),
  })}\n`,
);
