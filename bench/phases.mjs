/**
 * Phases beside direct extraction: `node bench/phases.mjs MODEL PHOTOS [--cuts head,block6,block5] [--repeats 3]`, PHOTOS with `train`
 * and `val`. On the native engine, in turn. Writes bench/PHASES.md.
 */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { finetune, freezeAllButHead, freezeUntil, useEngine } from "../dist/index.js";
import { median, table } from "./side-by-side.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    cuts: { type: "string", default: "head,block6,block5" },
    repeats: { type: "string", default: "3" },
  },
});
const [model, photos] = positionals;
if (!model || !photos)
  throw new Error("usage: node bench/phases.mjs MODEL PHOTOS [--cuts a,b,c] [--repeats N]");
const cuts = values.cuts.split(",");
const freezeAt = (cut) => (cut === "head" ? freezeAllButHead() : freezeUntil(cut));
useEngine("native");

/** Trains one epoch for each cut, with a cache of its own. Returns the images that were extracted, and the seconds before each phase. */
async function train(phaseCuts) {
  const folder = mkdtempSync(join(tmpdir(), "phases-bench-"));
  const starts = [];
  let ended = performance.now();
  const clock = {
    name: "clock",
    examples: (_epoch, given) => {
      starts.push((performance.now() - ended) / 1000);
      return given;
    },
    epochEnd: () => {
      ended = performance.now();
    },
  };
  const { features } = await finetune({
    model,
    data: photos,
    phases: phaseCuts.map((cut) => ({ freeze: freezeAt(cut), epochs: 1 })),
    cache: join(folder, "cache"),
    callbacks: [clock],
  });
  rmSync(folder, { recursive: true });
  return { features, starts };
}

const jobs = {
  phases: () => train(cuts),
  ...Object.fromEntries(cuts.slice(1).map((cut) => [cut, () => train([cut])])),
};
const runs = Object.fromEntries(Object.keys(jobs).map((name) => [name, []]));
for (let repeat = 0; repeat < Number(values.repeats); repeat++) {
  for (const [name, job] of Object.entries(jobs)) {
    runs[name].push(await job());
    process.stderr.write(`${name}: ${repeat + 1} of ${values.repeats}\n`);
  }
}

const count = (split) =>
  readdirSync(join(photos, split), { recursive: true }).filter((name) => /\.\w+$/.test(name)).length;
const [whole] = runs.phases;
const rows = cuts.slice(1).map((cut, index) => {
  const begin = median(runs.phases.map(({ starts }) => starts[index + 1]));
  const direct = median(runs[cut].map(({ features }) => features.seconds));
  return [cut, `${begin.toFixed(1)} s`, `${direct.toFixed(1)} s`, (begin / direct).toFixed(2)];
});
const text = `# Phases on one extraction

Made by \`node bench/phases.mjs MODEL PHOTOS\`: ${basename(model)}, ${count("train")} + ${count("val")} photos, phases ${cuts.join(", ")} of one epoch each, the
native engine, medians of ${values.repeats}, in turn. "begin" is the time from the last step of the phase before to the first of this one; "directly" the
time to extract the features of that cut from the photos, in a run of its own.

${table(["phase", "begin", "directly", "ratio"], rows)}

${whole.features.samples} photos, ${whole.features.extracted} of them put through the frozen part, once each for all ${cuts.length} phases.
`;
writeFileSync("bench/PHASES.md", text);
process.stdout.write(text);
