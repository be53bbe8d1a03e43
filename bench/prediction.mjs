/** Prediction of a whole model: the trunk where nothing is cached. */
import { interleaved, python, ratio, run, table } from "./side-by-side.mjs";

export function prediction({ model, repeats }) {
  const { ours, theirs } = interleaved(
    {
      ours: () => run(process.execPath, ["bench/predict.mjs", model]),
      theirs: () => run(python, ["bench/keras_predict.py", model]),
    },
    repeats,
  );
  const cells = [
    ratio(ours, theirs, ({ batches }) => Math.min(...batches)),
    ratio(ours, theirs, ({ batches }) => batches),
    ratio(ours, theirs, ({ wholeSeconds }) => wholeSeconds),
    ratio(ours, theirs, ({ peakBytes }) => peakBytes),
  ];
  return table(["best batch of 32", "median batch", "whole process", "peak memory"], [cells]);
}
