/**
 * Steps of recurrent networks beside Keras's: `npm run bench:recurrent -- [--repeats 3] [--only "GRU;LSTM"]`. Nothing is frozen.
 * Writes the rows into bench/RECURRENT.md, which keeps its others: ratios of medians, ours over Keras's, below 1 where we take less.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { interleaved, median, python, ratio, run, table } from "./side-by-side.mjs";

const everyCell = [
  "SimpleRNN",
  "LSTM",
  "LSTM of 256",
  "LSTM, masked",
  "GRU",
  "GRU of 256",
  "GRU, masked",
  "GRU, reset before",
  "GRU, recurrent dropout",
  "Bidirectional GRU",
  "Stacked cells",
  "ConvLSTM2D",
];
const { values } = parseArgs({
  options: {
    repeats: { type: "string", default: "3" },
    only: { type: "string", default: everyCell.join(";") },
  },
});
const folder = mkdtempSync(join(tmpdir(), "finetune-bench-"));
const head = ["layer", "epoch", "Keras's step", "whole job", "peak memory"];
const profileHead = [
  "layer",
  "our step",
  "graph",
  "update",
  "other kernels",
  "JavaScript",
  "calls",
  "without the graph",
];
const [rows, profiles] = [[], []];
for (const cell of values.only.split(";")) {
  const model = join(folder, "model.keras");
  run(python, ["bench/keras_recurrent.py", model, cell, "make"]);
  const { ours, theirs } = interleaved(
    {
      ours: () => run(process.execPath, ["bench/recurrent-job.mjs", model]),
      theirs: () => run(python, ["bench/keras_recurrent.py", model, cell, "fit"]),
    },
    Number(values.repeats),
  );
  const later = ({ epochs }) => epochs.slice(1);
  rows.push([
    cell,
    ratio(ours, theirs, later),
    `${((median(theirs.flatMap(later)) / 8) * 1000).toFixed(1)} ms`,
    ratio(ours, theirs, ({ wholeSeconds }) => wholeSeconds),
    ratio(ours, theirs, ({ peakBytes }) => peakBytes),
  ]);
  const profile = (mode) =>
    run(process.execPath, ["bench/recurrent-profile.mjs", model], { KERAS_FINETUNE_GRAPH: mode });
  const { whole, graphs, update, others, calls } = profile("always");
  const parts = [whole, graphs, update, others, whole - graphs - update - others];
  const apart = profile("0");
  profiles.push([
    cell,
    ...parts.map((part) => part.toFixed(1)),
    `${calls}`,
    `${apart.whole.toFixed(1)}, ${apart.calls} calls`,
  ]);
  process.stderr.write(`${rows.at(-1).join("  ")}\n${profiles.at(-1).join("  ")}\n`);
}
rmSync(folder, { recursive: true });
const page = "bench/RECURRENT.md";
const earlier = readFileSync(page, "utf8").split("\n");

/** Returns the table with that head: new rows in the place of those of the page. */
function updated(columns, fresh) {
  const start = earlier.indexOf(`| ${columns.join(" | ")} |`);
  const after = start < 0 ? [] : earlier.slice(start + 2);
  const end = after.findIndex((line) => !line.startsWith("| "));
  const kept = after.slice(0, end < 0 ? undefined : end).map((line) => line.slice(2, -2).split(" | "));
  const known = new Map([...kept, ...fresh].map((row) => [row[0], row]));
  return table(
    columns,
    everyCell.flatMap((cell) => (known.has(cell) ? [known.get(cell)] : [])),
  );
}

const text = `# Recurrent networks, ours over Keras's

Made by \`npm run bench:recurrent\`: whole processes, one of ours and one of Keras's (3.15, TensorFlow) in turn, ${values.repeats} of each; ratios of
medians, below 1 where we take less. The native engine; an embedding, the recurrent layer of 96 units over 60 steps, and a Dense
layer; everything is trained, 5 epochs of 8 batches of 32. "epoch" is the seconds of an epoch after the first; beside it a step of Keras's,
which tells how quiet the machine was: other work slows Keras more than us, so that a row whose step is far longer than that of rows like it flatters us.

${updated(head, rows)}

## Where a step goes

Milliseconds of a step of ours on one batch, medians of 60: the graph (forward pass, loss and backward pass, with the loops over time), the
optimizer's operations, all other kernels, and what is left for JavaScript; and the calls into TensorFlow. Last, a step whose operations are
calls of their own, with two graphs for each loop, as in runs of fewer than 24 steps.

${updated(profileHead, profiles)}
`;
writeFileSync(page, text);
process.stdout.write(text);
