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
const rows = values.only.split(";").map((cell) => {
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
  const row = [
    cell,
    ratio(ours, theirs, later),
    `${((median(theirs.flatMap(later)) / 8) * 1000).toFixed(1)} ms`,
    ratio(ours, theirs, ({ wholeSeconds }) => wholeSeconds),
    ratio(ours, theirs, ({ peakBytes }) => peakBytes),
  ];
  process.stderr.write(`${row.join("  ")}\n`);
  return row;
});
rmSync(folder, { recursive: true });
const page = "bench/RECURRENT.md";
const cellsOf = (line) => line.slice(2, -2).split(" | ");
const earlier = readFileSync(page, "utf8")
  .split("\n")
  .filter((line) => line.startsWith("| "))
  .slice(2);
const known = new Map([...earlier.map(cellsOf), ...rows].map((row) => [row[0], row]));
const text = `# Recurrent networks, ours over Keras's

Made by \`npm run bench:recurrent\`: whole processes, one of ours and one of Keras's (3.15, TensorFlow) in turn, ${values.repeats} of each; ratios of
medians, below 1 where we take less. The native engine; an embedding, the recurrent layer of 96 units over 60 steps, and a Dense
layer; everything is trained, 5 epochs of 8 batches of 32. "epoch" is the seconds of an epoch after the first; beside it a step of Keras's.

${table(
  ["layer", "epoch", "Keras's step", "whole job", "peak memory"],
  everyCell.flatMap((cell) => (known.has(cell) ? [known.get(cell)] : [])),
)}
`;
writeFileSync(page, text);
process.stdout.write(text);
