/**
 * Fine-tuning of several networks beside Keras: `npm run bench:networks -- [--only NAME] [--cut head|stage|none] [--rounds 1]
 * [--folder DIR] [--anew]`. Each round runs every job of a row once, whole processes in turn, and is kept in bench/networks-runs.json;
 * bench/NETWORKS.md is made of all of them, so rows can be measured one at a time. `--anew` forgets what those rows have; `--rounds 0` makes the
 * page again. `--folder` keeps the models and images between calls.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { kerasJob, ours } from "./fine-tuning.mjs";
import { makeData } from "./plan-data.mjs";
import { median, python, ratio, run, table } from "./side-by-side.mjs";

const normalized = ["follow", "inference"];
const networks = {
  MobileNetV2: { size: 224, stage: "block_13", preprocess: "tf", modes: normalized },
  EfficientNetB0: { size: 224, stage: "block6", preprocess: "none", modes: normalized },
  DenseNet121: { size: 160, stage: "conv5", preprocess: "torch", modes: normalized },
  ConvNeXtTiny: { size: 160, stage: "convnext_tiny_stage_3", preprocess: "none", modes: ["inference"] },
  VisionTransformer: { size: 160, stage: "block11", preprocess: "none", modes: ["inference"] },
};
const cuts = ["head", "stage", "none"];
const [train, val, epochs] = [64, 32, 3];
const runsFile = "bench/networks-runs.json";

const { values } = parseArgs({
  options: {
    only: { type: "string", default: Object.keys(networks).join() },
    cut: { type: "string", default: cuts.join() },
    rounds: { type: "string", default: "1" },
    folder: { type: "string" },
    anew: { type: "boolean", default: false },
  },
});
const folder = values.folder ?? mkdtempSync(join(tmpdir(), "bench-networks-"));
const rounds = existsSync(runsFile) ? JSON.parse(readFileSync(runsFile, "utf8")) : {};

for (const name of values.only.split(",")) {
  for (const cut of values.cut.split(",")) {
    const row = `${name} ${cut}`;
    if (values.anew) delete rounds[row];
    for (let round = 0; round < Number(values.rounds); round++) {
      rounds[row] = [...(rounds[row] ?? []), await measured(name, cut)];
      keep();
    }
  }
}
if (!values.folder) rmSync(folder, { recursive: true });
const page = written();
writeFileSync("bench/NETWORKS.md", page);
process.stdout.write(page);

/** Runs every job of a row once. Returns the figures of each by its name. */
async function measured(name, cut) {
  const { size, stage, preprocess, modes } = networks[name];
  const model = join(folder, `${name}.keras`);
  const photos = join(folder, `photos-${size}`);
  mkdirSync(folder, { recursive: true });
  if (!existsSync(model)) run(python, ["bench/plan_models.py", folder, `${name}:${size}`]);
  if (!existsSync(photos)) await makeData({ unit: "image", size }, { train, val }, photos);
  const job = { model, photos, cut: cut === "stage" ? stage : cut, epochs, preprocess };
  const figures = {};
  for (const bnMode of cut === "head" ? ["inference"] : modes) figures[bnMode] = ours({ ...job, bnMode });
  const { loss: _, ...keras } = kerasJob(job, "fit");
  return { ...figures, keras };
}

/** Writes all rounds, one a line, numbers with four digits. */
function keep() {
  const rounded = (_, value) => (typeof value === "number" ? Number(value.toPrecision(4)) : value);
  const rows = Object.entries(rounds).map(([row, own]) => {
    const lines = own.map((round) => `    ${JSON.stringify(round, rounded)}`);
    return `  ${JSON.stringify(row)}: [\n${lines.join(",\n")}\n  ]`;
  });
  writeFileSync(runsFile, `{\n${rows.join(",\n")}\n}\n`);
}

function written() {
  const rows = Object.entries(networks).flatMap(([name, { size, stage, modes }]) =>
    cuts.flatMap((cut) => {
      const own = rounds[`${name} ${cut}`] ?? [];
      return (cut === "head" ? ["inference"] : modes)
        .filter(() => own.length > 0)
        .map((mode) => {
          const [mine, theirs] = [own.map((round) => round[mode]), own.map((round) => round.keras)];
          return [
            ...[
              `${name}, ${size}`,
              cut === "stage" ? stage : cut,
              modes.length > 1 && cut !== "head" ? mode : "",
            ],
            ratio(mine, theirs, ({ epochs: seconds }) => seconds.slice(1)),
            `${median(theirs.flatMap(({ epochs: seconds }) => seconds.slice(1))).toFixed(2)} s`,
            ratio(mine, theirs, ({ wholeSeconds }) => wholeSeconds),
            ratio(mine, theirs, ({ peakBytes }) => peakBytes),
            `${own.length}`,
            `${Math.round(100 * median([...mine, ...theirs].map(({ othersShare }) => othersShare)))} %`,
          ];
        });
    }),
  );
  const head = [
    "network, side of an image",
    "trained from",
    "our `--bn-mode`",
    "epoch",
    "Keras's epoch",
    "whole job",
  ];
  return `# Networks, ours over Keras's

Made by \`npm run bench:networks\` on ${availableParallelism()} cores: whole processes, ours and Keras's (3.15, TensorFlow) in turn; ratios of medians, below 1 where
we take less. The native engine, float32; networks with random weights, ${train} + ${val} made-up photos, ${epochs} epochs, batch 32, Adam. The large networks
see 160 × 160 pixels, so that a round takes less than a minute. "epoch" is the seconds of an epoch after the first, validation included, beside it
Keras's own; "whole job" from the start of the process to its end (ours writes the model and proves what is frozen, Keras writes nothing); "peak
memory" the largest resident size. Keras decodes once, with \`tf.data\`'s \`cache\` and \`prefetch\`, and runs \`fit\`. VisionTransformer is the tiny ViT:
12 blocks of MultiHeadAttention and LayerNormalization, 192 wide, patches of 16. \`follow\` does what Keras's \`fit\` does, batch statistics past the
cut; \`inference\` is our default. "others" is the share of the machine that other processes took during the jobs.

${table([...head, "peak memory", "rounds", "others"], rows)}
`;
}
