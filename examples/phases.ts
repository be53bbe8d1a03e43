// Unfreezes a network stage by stage, is stopped on the way, goes on to the same bits, and trains on from the file with its optimizer.
//
//     node examples/phases.ts [MODEL PHOTOS OUT CUT]
//
// PHOTOS holds a folder for each class, CUT is the last stage to train. Without them: a small residual network, 45 photos, runs/phases, conv2.
import { finetune, freezeUntil, type ProgressEvent } from "keras-finetune";

const [
  model = "fixtures/cli/small_resnet.keras",
  data = "fixtures/demo/photos",
  out = "runs/phases",
  cut = "conv2",
] = process.argv.slice(2);
const freeze = freezeUntil(cut);

// The plan has a line for each phase, and each epoch says which it is of.
const stop = new AbortController();
function report(event: ProgressEvent): void {
  if (event.kind === "plan")
    for (const line of event.lines.filter((text) => /^phase /.test(text))) console.log(line);
  if (event.kind === "epoch") console.log(`epoch ${event.epoch.epoch} of phase ${event.epoch.phase}`);
  if (event.kind === "epoch" && event.epoch.epoch === 3) stop.abort(new Error("stopped after epoch 3"));
}

const options = { recipe: "gradual", epochs: 6, batchSize: 8, schedule: "one-cycle", ema: 0.9 } as const;
await finetune({
  model,
  data,
  freeze,
  ...options,
  out,
  overwrite: true,
  onProgress: report,
  signal: stop.signal,
}).catch((error: Error) => console.log(error.message));

// What a kill or a full disk leaves is gone on with in the same way.
const { history, phases } = await finetune({ resume: out });
console.log(`resumed: ${history.length} epochs in ${phases.length} phases`);

// The tuned file holds the optimizer: its momenta and its count of steps.
const further = await finetune({
  ...{ model: out, data, freeze, epochs: 2, batchSize: 8, optimizer: "file" },
  onProgress: (event) =>
    event.kind === "note" && event.message.startsWith("optimizer") && console.log(event.message),
});
console.log(
  `trained on for ${further.history.length} epochs, loss ${further.history.at(-1)?.loss.toFixed(4)}`,
);
