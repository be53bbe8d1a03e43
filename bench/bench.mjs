/**
 * Ours beside real Keras: `npm run bench -- MODEL PHOTOS [--repeats 3] [--epochs 4] [--cuts head,conv5,conv4,none]
 * [--photos N]`, MODEL a ResNet-50, PHOTOS with `train` and `val`; with `--photos` as many of them, copies where there are fewer. Whole processes in turn; the same photos, cut, epochs and batch. `KERAS_PYTHON` names the
 * Python that has Keras. Writes bench/RESULTS.md: ratios of medians, ours over Keras's, below 1 where we take less.
 */
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { denseChains } from "./dense-chains.mjs";
import { fineTuning } from "./fine-tuning.mjs";
import { photoCopies } from "./photo-copies.mjs";
import { prediction } from "./prediction.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    repeats: { type: "string", default: "3" },
    epochs: { type: "string", default: "4" },
    cuts: { type: "string", default: "head,conv5,conv4,none" },
    photos: { type: "string" },
  },
});
const [model, source] = positionals;
if (!model || !source)
  throw new Error(
    "usage: npm run bench -- MODEL PHOTOS [--repeats N] [--epochs N] [--cuts a,b] [--photos N]",
  );
const photos = values.photos === undefined ? source : photoCopies(source, Number(values.photos));
const [repeats, epochs] = [Number(values.repeats), Number(values.epochs)];
const count = (split) =>
  readdirSync(join(photos, split), { recursive: true }).filter((name) => /\.\w+$/.test(name)).length;

const text = `# Ours over Keras's

Made by \`npm run bench -- MODEL PHOTOS\`: whole processes, one of ours and one of Keras's (3.15, TensorFlow) in turn, ${repeats} of
each; ratios of medians, below 1 where we take less. The native engine, float32, ResNet-50.

## Fine-tuning

${count("train")} + ${count("val")} photos at 224x224, ${epochs} epochs, batch 32, Adam. "epoch" is the seconds of an epoch after the first, validation
included; "whole job" from the start of the process to its end (ours writes the model and proves what is frozen, Keras writes
nothing); "peak memory" the largest resident size. Keras decodes once, with \`tf.data\`'s \`cache\` and \`prefetch\`; the row "predict,
then fit" trains the head on what \`predict\` gave. \`follow\` does what Keras's \`fit\` does, batch statistics past the cut;
\`inference\` is our default.

${fineTuning({ model, photos, cuts: values.cuts.split(","), epochs, repeats })}

## Prediction

The whole network on 32 pictures, \`predict_on_batch\` beside our inference form: the trunk where nothing is cached.

${prediction({ model, repeats })}

${denseChains({ repeats })}
`;
writeFileSync("bench/RESULTS.md", text);
process.stdout.write(text);
