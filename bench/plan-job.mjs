/** One run in a process of its own: prints what its plan predicted and what it took, part by part. */
import { finetune, freeze, freezeAllButHead, freezeUntil, useEngine } from "../dist/index.js";

const { clock, engine, model, data, cut, batchSize, epochs, folder } = JSON.parse(process.argv[2]);

const processorSeconds = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};
if (clock === "cpu") {
  // Everything that the run times is then in processor time, which other work of the machine does not lengthen.
  performance.now = () => 1000 * processorSeconds();
}
useEngine(engine);
const policy = cut === "head" ? freezeAllButHead() : cut === "nothing" ? freeze("none") : freezeUntil(cut);
const began = performance.now();
const processorBegan = processorSeconds();
const since = () => (performance.now() - began) / 1000;
let planned = 0;
const { plan, measured, history } = await finetune({
  model,
  data,
  freeze: policy,
  batchSize,
  epochs,
  cache: `${folder}/cache`,
  out: `${folder}/run`,
  onProgress: ({ kind }) => {
    if (kind === "plan") planned = since();
  },
});
const run = since();
const { cost } = plan;
const training = history.reduce((sum, { seconds }) => sum + seconds, 0);
process.stdout.write(
  `\n${JSON.stringify({
    predicted: {
      epoch: cost.run.epochSeconds,
      run: cost.run.seconds,
      memory: cost.processBytes,
      preparation: cost.run.preparationSeconds,
      extraction: cost.run.extractionSeconds,
      training: cost.run.trainingSeconds,
      rest: cost.run.savingSeconds,
    },
    measured: {
      epoch: measured.epochSeconds,
      run,
      memory: process.resourceUsage().maxRSS * 1024,
      preparation: planned,
      extraction: measured.extractionSeconds,
      training,
      rest: run - planned - measured.extractionSeconds - training,
      epochs: history.map(({ seconds }) => seconds),
    },
    processorSeconds: processorSeconds() - processorBegan,
    // With what the process took before the run.
    ownSeconds: processorSeconds(),
  })}\n`,
);
