/**
 * Where a run's memory is, beside real Keras: `npm run bench:memory -- MODEL PHOTOS [--photos 64] [--epochs 2] [--cuts head,conv5,conv4,none]
 * [--anew]`, MODEL a ResNet-50, PHOTOS with `train` and `val`. Whole processes; `KERAS_PYTHON` names the Python that has Keras. Writes
 * bench/MEMORY.md. Keras's peaks are kept in bench/memory-keras.json, and are measured again with `--anew`.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { photoCopies } from "./photo-copies.mjs";
import { python, run, table } from "./side-by-side.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    photos: { type: "string", default: "64" },
    epochs: { type: "string", default: "2" },
    cuts: { type: "string", default: "head,conv5,conv4,none" },
    anew: { type: "boolean", default: false },
  },
});
const [model, source] = positionals;
if (!model || !source)
  throw new Error(
    "usage: npm run bench:memory -- MODEL PHOTOS [--photos N] [--epochs N] [--cuts a,b] [--anew]",
  );
const batch = "32";
const count = Number(values.photos);
const photos = photoCopies(source, count);
const keptFile = "bench/memory-keras.json";
const known = existsSync(keptFile) ? JSON.parse(readFileSync(keptFile, "utf8")) : {};

function kerasPeak(cut, kind) {
  const key = `${cut}, ${kind}, ${count} photos`;
  if (values.anew || known[key] === undefined) {
    const job = ["bench/keras_job.py", model, photos, cut, values.epochs, batch, kind];
    known[key] = run(python, job).peakBytes;
    writeFileSync(keptFile, `${JSON.stringify(known, null, 2)}\n`);
  }
  return known[key];
}

const megabytes = (bytes) => `${Math.round(bytes / 1e6)}`;
const summary = [];
const profiles = [];
for (const cut of values.cuts.split(",")) {
  for (const mode of cut === "head" ? ["inference"] : ["inference", "follow"]) {
    const { stages, peakBytes } = run(process.execPath, [
      "bench/memory-job.mjs",
      ...[model, photos, cut, mode, values.epochs, batch],
    ]);
    process.stderr.write(`${cut} ${mode}: ${megabytes(peakBytes)} MB\n`);
    for (const kind of cut === "head" ? ["fit", "features"] : ["fit"]) {
      const keras = kerasPeak(cut, kind);
      const beside = kind === "fit" ? "fit" : "predict, then fit";
      summary.push([
        cut,
        mode,
        beside,
        megabytes(peakBytes),
        megabytes(keras),
        (peakBytes / keras).toFixed(2),
      ]);
    }
    const rows = stages.map(({ stage, peak, files, anonymous, arrays, heap, tensors }) => [
      stage,
      ...[peak, files, anonymous, arrays, heap, tensors].map(megabytes),
    ]);
    profiles.push(
      `### ${cut}, \`--bn-mode ${mode}\`\n\n${table(
        ["stage", "peak", "files", "anonymous", "arrays", "heap", "tensors"],
        rows,
      )}`,
    );
    writePage();
  }
}
rmSync(photos, { recursive: true });

/** Writes the page of the rows so far: a bench that is ended early leaves what it has measured. */
function writePage() {
  writeFileSync(
    "bench/MEMORY.md",
    `# Where a run's memory is

Made by \`npm run bench:memory -- MODEL PHOTOS --photos ${count}\`: whole processes, ResNet-50, ${count} + ${Math.ceil(count / 2)} photos at 224x224, ${values.epochs} epochs, batch
${batch}, Adam, the native engine. Megabytes of 10^6 bytes. A peak does not depend on how busy the machine is.

## Beside Keras

The largest resident memory of ours, which writes states and the model, and of Keras's \`fit\`, which writes nothing.

${table(["trained from", "our `--bn-mode`", "Keras", "ours", "Keras's", "ratio"], summary)}

## Stage by stage

"peak" is the largest resident memory in the stage; the rest is what there is at its end. "files" is mapped from files, which are Node
and TensorFlow's library; "anonymous" is everything else, of which "arrays" are the script engine's array buffers, "heap" its heap, and
"tensors" the engine's tensors that our code holds, without the optimizer's slots. What is left of it is TensorFlow's and the
decoder's own memory, and what the allocator keeps of memory that was given back.

${profiles.join("\n\n")}
`,
  );
}
