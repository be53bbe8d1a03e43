// Watches a run with callbacks of its own: one ends it at a target, one writes a JSON line for each epoch.
//
//     node examples/callbacks.ts [MODEL PHOTOS OUT]
//
// PHOTOS holds a folder for each class. Without it: a small residual network, 45 photos of brick, grass and gravel, and runs/callbacks.
import { readFileSync, writeFileSync } from "node:fs";
import { type Callback, finetune, freezeUntil } from "keras-finetune";

const [model = "fixtures/cli/small_resnet.keras", data = "fixtures/demo/photos", out = "runs/callbacks"] =
  process.argv.slice(2);

/** Ends the run after the first epoch in which a figure of the history has reached a target. */
function stopAt(name: string, target: number): Callback {
  return {
    name: "stop-at",
    epochEnd: (record) => ((record[name] ?? Number.NEGATIVE_INFINITY) >= target ? "stop" : undefined),
  };
}

/** Writes each epoch as a line of JSON. Its state says how far that is, so that a resumed run goes on behind the right line. */
function jsonLines(file: string): Callback {
  let lines: string[] = [];
  const write = (): void => writeFileSync(file, lines.map((line) => `${line}\n`).join(""));
  return {
    name: "json-lines",
    begin: write,
    epochEnd: (record) => {
      lines.push(JSON.stringify(record));
      write();
    },
    state: () => lines.length,
    restore: (count) => {
      lines = readFileSync(file, "utf8").split("\n").slice(0, Number(count));
    },
  };
}

const target = 0.6;
const { history, bestEpoch } = await finetune({
  model,
  data,
  freeze: freezeUntil("conv3"),
  epochs: 20,
  batchSize: 8,
  learningRate: 0.003,
  out,
  overwrite: true,
  callbacks: [stopAt("val_accuracy", target), jsonLines(`${out}.jsonl`)],
});
const last = history.at(-1);
console.log(
  `${history.length} epochs, val_accuracy ${last?.val_accuracy?.toFixed(3)}, the best is epoch ${bestEpoch}`,
);
console.log(`written to ${out}, a line for each epoch to ${out}.jsonl`);
