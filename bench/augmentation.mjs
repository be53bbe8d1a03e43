/**
 * Cached views beside a plain head: `node bench/augmentation.mjs MODEL PHOTOS [--seeds 5] [--epochs 9] [--cut block7]`, PHOTOS with
 * `train` and `val`. Whole processes on the native engine, in turn. Writes bench/AUGMENTATION.md.
 */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { interleaved, median, run, table } from "./side-by-side.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seeds: { type: "string", default: "5" },
    epochs: { type: "string", default: "9" },
    cut: { type: "string", default: "block7" },
  },
});
const [model, photos] = positionals;
if (!model || !photos)
  throw new Error("usage: node bench/augmentation.mjs MODEL PHOTOS [--seeds N] [--epochs N] [--cut CUT]");
const { epochs, cut } = values;
const seeds = Array.from({ length: Number(values.seeds) }, (_, seed) => seed);
const folder = mkdtempSync(join(tmpdir(), "augmentation-bench-"));
const plain = ["--freeze-all-but-head"];
const recipe = ["--recipe", "transfer", "--freeze-until", cut];
const views = ["--augment", "light", "--views", "4"];
let runs = 0;

/** Trains in a process of its own and returns the document that it prints. */
function train(seed, flags) {
  const places = ["--cache", join(folder, "cache"), "--out", join(folder, `run-${runs++}`)];
  const job = ["--model", model, "--data", photos, "--epochs", epochs, "--seed", `${seed}`];
  return run(process.execPath, [
    "bin/finetune.js",
    ...job,
    ...flags,
    ...places,
    ...["--engine", "native", "--no-report", "--save-every", "0", "--json"],
  ]);
}

const percent = (value) => `${(100 * value).toFixed(1)} %`;
/** Accuracy on val of the epoch that is kept, over all seeds. */
function accuracyRow(name, documents) {
  const kept = documents.map(
    ({ history, bestEpoch }) => history.find(({ epoch }) => epoch === bestEpoch).val_accuracy,
  );
  const mean = kept.reduce((sum, value) => sum + value, 0) / kept.length;
  return [
    name,
    percent(mean),
    percent(Math.min(...kept)),
    percent(Math.max(...kept)),
    kept.map(percent).join(", "),
  ];
}
const laterEpochs = ({ history }) => history.filter(({ phase }) => phase === 2).map(({ seconds }) => seconds);

const results = { plain: [], views: [] };
for (const seed of seeds) {
  results.plain.push(train(seed, plain));
  results.views.push(train(seed, [...recipe, ...views]));
  process.stderr.write(`seed ${seed}: done\n`);
}
const again = train(0, [...recipe, ...views]);
const times = interleaved({ one: () => train(0, recipe), four: () => train(0, [...recipe, ...views]) }, 3);
rmSync(folder, { recursive: true });

const count = (split) =>
  readdirSync(join(photos, split), { recursive: true }).filter((name) => /\.\w+$/.test(name)).length;
const ratio = median(times.four.flatMap(laterEpochs)) / median(times.one.flatMap(laterEpochs));
const [first] = results.views;
const text = `# Augmentation that keeps the cache

Made by \`node bench/augmentation.mjs MODEL PHOTOS\`: ${basename(model)}, ${count("train")} + ${count("val")} photos of two classes, ${epochs} epochs, the native
engine, seeds ${seeds[0]} to ${seeds.at(-1)}. Accuracy is that on val of the epoch that is kept, the one with the lowest \`val_loss\`.

${table(
  ["run", "mean", "lowest", "highest", "each seed"],
  [
    accuracyRow("`--freeze-all-but-head`", results.plain),
    accuracyRow(`\`--recipe transfer --freeze-until ${cut} --augment light --views 4\``, results.views),
  ],
)}

- The first run with views put ${first.features.extracted} views through the frozen part, a second with the same seed ${again.features.extracted}.
- An epoch past ${cut} on 4 views took ${ratio.toFixed(2)} times as long as one on the images themselves (medians of ${times.one.length} runs each, in turn).
`;
writeFileSync("bench/AUGMENTATION.md", text);
process.stdout.write(text);
