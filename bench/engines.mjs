/**
 * The engines beside each other: engines.mjs [--webgpu] [MODEL…]. Extraction and steps of fine-tuning on arrays of pixels, whole processes in turn.
 * Writes the rows of these models, or of all, into bench/ENGINES.md. MODELS is a folder that has them already. webgpu has rows on a real
 * GPU, and with --webgpu on a driver in software too, once and marked as such.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { gpuHere } from "./gpu-here.mjs";
import { interleaved, median, python, run, table } from "./side-by-side.mjs";

const cuts = { ResNet50: "conv5", MobileNetV2: "block_13", EfficientNetB0: "block6" };
const asked = process.argv.slice(2).filter((word) => word !== "--webgpu");
const { gpu, reason } = await gpuHere();
const withGpu = gpu !== undefined && (!gpu.isSoftware || process.argv.includes("--webgpu"));
const gpuRow = gpu?.isSoftware ? "webgpu, in software" : `webgpu, ${gpu?.adapter}`;
const names = asked.length > 0 ? asked : Object.keys(cuts);
const [samples, epochs] = [8, 3];
const repeats = Number(process.env.REPEATS ?? 5);
const all = availableParallelism();
const folder = mkdtempSync(join(tmpdir(), "finetune-engines-"));

const job = (model, cut, engine, threads) => () =>
  run(process.execPath, ["bench/engine-job.mjs", model, cut, `${samples}`, `${epochs}`], {
    KERAS_FINETUNE_ENGINE: engine,
    KERAS_FINETUNE_THREADS: `${threads}`,
  });

const made = process.env.MODELS ?? folder;
if (made === folder) run(python, ["bench/plan_models.py", folder, ...names]);
const rows = names.flatMap((name) => {
  const model = join(made, `${name}.keras`);
  const runs = interleaved(
    {
      "wasm, 1 thread": job(model, cuts[name], "wasm", 1),
      [`wasm, ${all} threads`]: job(model, cuts[name], "wasm", all),
      [`native, ${all} threads`]: job(model, cuts[name], "native", all),
    },
    repeats,
  );
  if (withGpu)
    runs[gpuRow] = interleaved(
      { [gpuRow]: job(model, cuts[name], "webgpu", 1) },
      gpu.isSoftware ? 1 : repeats,
    )[gpuRow];
  const [single] = Object.values(runs);
  const figure = (own, of) => median(own.flatMap(of));
  return Object.entries(runs).map(([engine, own]) => {
    const faster = (of) => `${(figure(single, of) / figure(own, of)).toFixed(2)}`;
    const peak = figure(own, ({ peakBytes }) => peakBytes) / figure(single, ({ peakBytes }) => peakBytes);
    return [
      name,
      engine,
      `${Math.round(1000 * figure(own, ({ extraction }) => extraction))} ms`,
      faster(({ extraction }) => extraction),
      cuts[name],
      `${Math.round(1000 * figure(own, ({ steps }) => steps))} ms`,
      faster(({ steps }) => steps),
      peak.toFixed(2),
    ];
  });
});
rmSync(folder, { recursive: true });
const head = [
  "model",
  "engine",
  "extraction, an image",
  "times as fast",
  "cut",
  "step of 8",
  "times as fast",
  "peak memory",
];
/** Returns what the page says of webgpu. */
function gpuText() {
  if (withGpu && gpu.isSoftware)
    return `webgpu ran once on ${gpu.adapter} (${gpu.driver}), a driver in software, whose times say nothing of a GPU.`;
  if (withGpu) return `webgpu ran on ${gpu.adapter} (${gpu.driver}).`;
  return `webgpu has no row: ${gpu ? `${gpu.adapter} computes on the CPU, and is measured with \`--webgpu\` alone.` : reason}`;
}

const target = new URL("ENGINES.md", import.meta.url);
const earlier = existsSync(target) ? readFileSync(target, "utf8").split("\n") : [];
const others = earlier.filter((line) =>
  Object.keys(cuts).some((name) => !names.includes(name) && line.startsWith(`| ${name} |`)),
);
const text = [table(head, rows), ...others].join("\n");
process.stdout.write(`${text}\n`);
const intro = `# Engines beside each other

\`npm run bench:engines\` on ${all} cores. Networks with random weights, ${samples} images of 224 × 224 pixels as arrays: the frozen part once (up to the
cut), then steps of what is left, Adam. Medians of ${repeats} processes a row, in turn; speed and peak memory beside one thread of wasm. The
images are one batch, the first: on native most of its time goes into memory that is touched for the first time and kernels that are made; the next
takes about half as long.

${gpuText()}
`;
writeFileSync(target, `${intro}\n${text}\n`);
