/**
 * Where a run's memory is, beside real Keras: `npm run bench:memory -- MODEL PHOTOS [--photos 64] [--epochs 2] [--cuts head,conv4,none]
 * [--modes inference,follow] [--anew]`, MODEL a ResNet-50, PHOTOS with `train` and `val`. Whole processes; `KERAS_PYTHON` names the Python that has Keras. The
 * runs are kept in bench/memory-runs.json, and bench/MEMORY.md is made of all of them: rows can be measured a few at a time, and
 * `--cuts ""` makes the page again. Keras's peaks are kept in bench/memory-keras.json, and are measured again with `--anew`.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { memoryPage } from "./memory-page.mjs";
import { photoCopies } from "./photo-copies.mjs";
import { python, run } from "./side-by-side.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    photos: { type: "string", default: "64" },
    epochs: { type: "string", default: "2" },
    cuts: { type: "string", default: "head,conv4,none" },
    modes: { type: "string", default: "inference,follow" },
    anew: { type: "boolean", default: false },
  },
});
const [model, source] = positionals;
if (!model || !source)
  throw new Error(
    "usage: npm run bench:memory -- MODEL PHOTOS [--photos N] [--epochs N] [--cuts a,b] [--modes a,b] [--anew]",
  );
const batch = 32;
const count = Number(values.photos);
const epochs = Number(values.epochs);
const keptRuns = "bench/memory-runs.json";
const keptPeaks = "bench/memory-keras.json";
const runs = kept(keptRuns);
const peaks = kept(keptPeaks);

const cuts = values.cuts.split(",").filter((cut) => cut !== "");
const photos = photoCopies(source, count);
for (const cut of cuts) {
  for (const mode of cut === "head" ? ["inference"] : values.modes.split(",")) {
    const job = ["bench/memory-job.mjs", model, photos, cut, mode, `${epochs}`, `${batch}`];
    const { stages, peakBytes } = run(process.execPath, job);
    runs[`${count}, ${cut}, ${mode}`] = { photos: count, cut, mode, epochs, peakBytes, stages };
    keep(keptRuns, runs);
    process.stderr.write(`${cut} ${mode}: ${Math.round(peakBytes / 1e6)} MB\n`);
    for (const kind of cut === "head" ? ["fit", "features"] : ["fit"]) measureKeras(cut, kind);
    writePage();
  }
}
rmSync(photos, { recursive: true });
writePage();

/** Measures the peak of one of Keras's jobs if it is not known, or is asked for anew. */
function measureKeras(cut, kind) {
  const key = `${cut}, ${kind}, ${count} photos`;
  if (!values.anew && peaks[key] !== undefined) return;
  const job = ["bench/keras_job.py", model, photos, cut, `${epochs}`, `${batch}`, kind];
  peaks[key] = run(python, job).peakBytes;
  keep(keptPeaks, peaks);
}

function kept(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : {};
}

function keep(file, value) {
  writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`);
}

/** Writes the page of the runs so far: a bench that is ended early leaves what it has measured. */
function writePage() {
  writeFileSync("bench/MEMORY.md", memoryPage(Object.values(runs), peaks, batch));
}
