/** The question's own example: chains of Dense layers, frozen but for the last or only the first. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { interleaved, python, ratio, run, table } from "./side-by-side.mjs";

const policies = { "the first": "1", "all but the last": "-1" };

export function denseChains({ repeats }) {
  const folder = mkdtempSync(join(tmpdir(), "finetune-bench-"));
  const rows = [2, 12].flatMap((layers) => {
    const model = join(folder, `chain${layers}.keras`);
    return Object.entries(policies).map(([frozen, depth]) => {
      run(python, ["bench/keras_dense_chain.py", model, `${layers}`, depth, "make"]);
      const { ours, theirs } = interleaved(
        {
          ours: () => run(process.execPath, ["bench/dense-chain.mjs", model, depth]),
          theirs: () => run(python, ["bench/keras_dense_chain.py", model, `${layers}`, depth, "fit"]),
        },
        repeats,
      );
      return [
        layers,
        frozen,
        ratio(ours, theirs, ({ epochs }) => epochs.slice(1)),
        ratio(ours, theirs, ({ wholeSeconds }) => wholeSeconds),
        ratio(ours, theirs, ({ peakBytes }) => peakBytes),
      ];
    });
  });
  rmSync(folder, { recursive: true });
  return table(["Dense layers", "frozen", "epoch", "whole job", "peak memory"], rows);
}
