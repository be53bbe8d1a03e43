/** bench/MEMORY.md from the runs that are kept. */
import { table } from "./side-by-side.mjs";

/** The largest share of the peak of Keras's `fit` that a run is to take. */
const goals = { "head inference": 0.6, "conv4 inference": 0.65, "conv4 follow": 0.7 };
const order = ["head", "conv5", "conv4", "none"];
const columns = ["peak", "files", "anonymous", "arrays", "heap", "tensors"];

const megabytes = (bytes) => `${Math.round(bytes / 1e6)}`;
const goalOf = ({ cut, mode }) => goals[`${cut} ${mode}`];

/**
 * Returns the page.
 * @param runs Ours, each with its number of photos, cut, mode, epochs, stages and peak in bytes.
 * @param peaks Keras's peaks in bytes by cut, kind and number of photos.
 */
export function memoryPage(runs, peaks, batch) {
  const sorted = runs.toSorted(
    (one, other) => one.photos - other.photos || order.indexOf(one.cut) - order.indexOf(other.cut),
  );
  const peakOf = ({ cut, photos }, kind) => peaks[`${cut}, ${kind}, ${photos} photos`];
  const share = (one) => one.peakBytes / peakOf(one, "fit");
  const missed = sorted.filter((one) => share(one) > goalOf(one));
  const sizes = [...new Set(sorted.map(({ photos, epochs }) => sizeText(photos, epochs)))];
  return `# Where a run's memory is

Made by \`npm run bench:memory -- MODEL PHOTOS --photos N\`: whole processes, ResNet-50 at 224x224, ${sizes.join("; ")}, batch
${batch}, Adam, the native engine. Megabytes of 10^6 bytes. A peak does not depend on how busy the machine is.

## Beside Keras

The largest resident memory of ours, which writes states and the model, and of Keras's, which writes nothing: its \`fit\` on a pipeline
that keeps its decoded images, or for a head its \`predict\` of the features and \`fit\` on them. Goals are shares of \`fit\`: ${
    missed.length === 0
      ? "all of them are met."
      : `${missed.length} of ${sorted.filter(goalOf).length} rows miss theirs.`
  }

${table(
  ["photos", "trained from", "our `--bn-mode`", "Keras", "ours", "Keras's", "ratio", "goal"],
  sorted.flatMap((one) =>
    ["fit", "features"].flatMap((kind) => {
      const peak = peakOf(one, kind);
      if (peak === undefined) return [];
      const beside = kind === "fit" ? "fit" : "predict, then fit";
      const goal = kind === "fit" ? (goalOf(one) ?? "") : "";
      const sizes = [megabytes(one.peakBytes), megabytes(peak), (one.peakBytes / peak).toFixed(2)];
      return [[one.photos, one.cut, one.mode, beside, ...sizes, goal]];
    }),
  ),
)}
${missed.map((one) => `\n${floorText(one, peakOf(one, "fit"))}\n`).join("")}
## Stage by stage

"peak" is the largest resident memory in the stage; the rest is what there is at its end. "files" is mapped from files, which are Node
and TensorFlow's library; "anonymous" is everything else, of which "arrays" are the script engine's array buffers, "heap" its heap, and
"tensors" the engine's tensors that our code holds, without the optimizer's slots. What is left of it is TensorFlow's and the
decoder's own memory, and what the allocators keep of memory that was given back: TensorFlow's keeps all that it ever took.

${sorted.map(stagesText).join("\n\n")}
`;
}

function sizeText(photos, epochs) {
  return `${photos} + ${Math.ceil(photos / 2)} photos for ${epochs} epoch${epochs === 1 ? "" : "s"}`;
}

function stagesText({ photos, cut, mode, stages }) {
  const rows = stages.map((one) => [one.stage, ...columns.map((column) => megabytes(one[column]))]);
  return `### ${photos} photos, ${cut}, \`--bn-mode ${mode}\`\n\n${table(["stage", ...columns], rows)}`;
}

/** Returns what a row that misses its goal cannot go below, from its own stages. */
function floorText({ photos, cut, mode, stages, peakBytes }, keras) {
  const largest = stages.toSorted((one, other) => other.peak - one.peak)[0];
  const [start] = stages;
  const own = largest.peak - largest.files - start.anonymous - largest.tensors;
  return `**${photos} photos, ${cut}, ${mode}** misses its goal of ${megabytes(goalOf({ cut, mode }) * keras)} MB by ${megabytes(
    peakBytes - goalOf({ cut, mode }) * keras,
  )} MB, in the stage "${largest.stage}". Of its ${megabytes(largest.peak)} MB, ${megabytes(largest.files)} are Node's and TensorFlow's files, ${megabytes(
    start.anonymous,
  )} are there before anything is read, ${megabytes(largest.tensors)} are tensors that are held, and ${megabytes(
    own,
  )} are activations, gradients, the optimizer and what allocators keep.`;
}
