/** Fine-tuning a whole model on images, from each cut. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { interleaved, python, ratio, run, table } from "./side-by-side.mjs";

const batch = "32";
const policies = { head: ["--freeze-all-but-head"], none: ["--freeze", "none"] };

/** Fine-tunes by the command line in a process of its own, from `cut` on. Returns the seconds of each epoch, of the job, and its peak. */
export function ours({ model, photos, cut, epochs, bnMode, preprocess = "auto" }) {
  const folder = mkdtempSync(join(tmpdir(), "finetune-bench-"));
  const out = join(folder, "run");
  const policy = policies[cut] ?? ["--freeze-until", cut];
  const job = ["--model", model, "--data", photos, ...policy, "--bn-mode", bnMode, "--epochs", `${epochs}`];
  const places = ["--batch-size", batch, "--cache", join(folder, "cache"), "--out", out];
  const { wholeSeconds, othersShare } = run(process.execPath, [
    "bin/finetune.js",
    ...job,
    ...places,
    ...["--preprocess", preprocess, "--engine", "native", "--json"],
  ]);
  const { measured } = JSON.parse(readFileSync(join(out, "plan.json"), "utf8"));
  const lines = readFileSync(join(out, "history.csv"), "utf8").trim().split("\n").slice(1);
  rmSync(folder, { recursive: true });
  const seconds = lines.map((line) => Number(line.split(",").at(-1)));
  return { epochs: seconds, wholeSeconds, peakBytes: measured.peakBytes, othersShare };
}

/** Does the same in real Keras: `kind` is "fit", or "features" for `predict` first. */
export function kerasJob({ model, photos, cut, epochs, preprocess = "caffe" }, kind) {
  return run(python, ["bench/keras_job.py", model, photos, cut, `${epochs}`, batch, kind, preprocess]);
}

export function fineTuning({ model, photos, cuts, epochs, repeats }) {
  const rows = cuts.flatMap((cut) => {
    const job = { model, photos, cut, epochs };
    const keras = (kind) => () => kerasJob(job, kind);
    const modes = cut === "head" ? ["inference"] : ["follow", "inference"];
    const runs = interleaved(
      {
        ...Object.fromEntries(modes.map((mode) => [mode, () => ours({ ...job, bnMode: mode })])),
        "Keras fit": keras("fit"),
        ...(cut === "head" && { "Keras predict, then fit": keras("features") }),
      },
      repeats,
    );
    return modes.flatMap((mode) =>
      Object.keys(runs)
        .filter((name) => name.startsWith("Keras"))
        .map((name) => [
          cut,
          mode,
          name,
          ratio(runs[mode], runs[name], ({ epochs: seconds }) => seconds.slice(1)),
          ratio(runs[mode], runs[name], ({ wholeSeconds }) => wholeSeconds),
          ratio(runs[mode], runs[name], ({ peakBytes }) => peakBytes),
        ]),
    );
  });
  return table(["trained from", "our `--bn-mode`", "beside", "epoch", "whole job", "peak memory"], rows);
}
