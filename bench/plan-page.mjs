/** bench/PLAN.md from the runs of each row. */
import { cpus } from "node:os";
import { median, table } from "./side-by-side.mjs";

/** Percent by which a prediction may be off. */
const bounds = { epoch: 35, run: 35, memory: 25 };
/** Seconds by which a prediction may be off all the same: an epoch of a head is a few milliseconds. */
const leastOff = 0.005;

/** What profiles showed where a row does not hold. */
const reasons = {
  "Recurrent wasm":
    "a step of the cells is thousands of kernels on next to nothing, and V8 compiles their code while it is run: the few calls that a trial of a short run has time for are slower than an epoch's.",
};

/**
 * Returns the page.
 * @param rows Every row with its name, network, engine, cut and job.
 * @param all Runs of each row by its name.
 */
export function planPage(rows, all) {
  const measured = rows.filter(({ name }) => (all.get(name) ?? []).length > 0);
  const outside = measured.filter(({ name }) => figures.some((figure) => isOutside(all.get(name), figure)));
  const triple = (what) => [`${what} predicted`, "measured", "off"];
  const heads = [
    ...["network", "engine", "trained from"],
    ...triple("epoch"),
    ...triple("run"),
    ...triple("memory"),
    ...["planned in", "processor time", "others", "runs"],
  ];
  const sizes = new Set(
    rows
      .filter(({ cut }) => cut !== "head")
      .map(({ network, engine, job: { train, val, batchSize, epochs } }) => {
        const which = network === "ResNet50" ? `ResNet50 on ${engine}` : `the others on ${engine}`;
        return `${which} ${train} + ${val} samples, batches of ${batchSize}, ${epochs} epochs`;
      }),
  );
  const headEpochs = rows.find(({ cut }) => cut === "head")?.job.epochs;
  return `# What the plan predicts, and what a run takes

Made by \`npm run bench:plan\` in seconds of the clock: a process for each run, medians of the runs of a row, on ${cpus().length} cores. Networks of Keras with random
weights; ${[...sizes].join("; ")}; of a head ${headEpochs} epochs. "epoch" is
the median of the epochs after the first with their validation, "run" the whole call with reading, planning, extraction into an empty
cache, states, report and files, "memory" the largest resident size of the process. "planned in" is the part of the run before the plan is
printed, with the trial of a few samples, which the run's prediction counts; "processor time" is all threads' of the whole run. "others"
is the share of the machine that other processes took meanwhile. Bold is off by more than ${bounds.run} % and ${1000 * leastOff} ms in time or ${bounds.memory} % in memory: ${outside.length} of ${measured.length} rows.

${table(
  heads,
  measured.map((row) => cells(row, all.get(row.name))),
)}
${shortfalls(outside, all)}`;
}

const figures = Object.keys(bounds);

function cells({ network, engine, cut }, runs) {
  const own = (of) => median(runs.map(of));
  return [
    ...[network, engine, cut],
    ...figures.flatMap((figure) => compared(runs, figure)),
    secondsText(own(({ measured }) => measured.preparation)),
    secondsText(own(({ processorSeconds }) => processorSeconds)),
    `${Math.round(100 * own(({ others }) => others))} %`,
    String(runs.length),
  ];
}

/** Returns medians of both, and by how much the prediction is above or below. */
function compared(runs, figure) {
  const text = figure === "memory" ? (value) => `${(value / 1e9).toFixed(2)} GB` : secondsText;
  const off = percentOff(runs, figure);
  const sign = `${off > 0 ? "+" : ""}${off} %`;
  return [
    text(median(runs.map(({ predicted }) => predicted[figure]))),
    text(median(runs.map((one) => measuredOf(one, figure)))),
    isOutside(runs, figure) ? `**${sign}**` : sign,
  ];
}

/** Returns a figure as it was measured; of an epoch the median of those after the first, which warms up. */
function measuredOf({ measured }, figure) {
  return figure === "epoch" ? median(measured.epochs.slice(1)) : measured[figure];
}

function percentOff(runs, figure) {
  return Math.round(100 * median(runs.map((one) => one.predicted[figure] / measuredOf(one, figure) - 1)));
}

function isOutside(runs, figure) {
  const gap = median(runs.map((one) => Math.abs(one.predicted[figure] - measuredOf(one, figure))));
  return Math.abs(percentOff(runs, figure)) > bounds[figure] && gap > leastOff;
}

function secondsText(seconds) {
  if (seconds < 0.1) return `${(1000 * seconds).toFixed(1)} ms`;
  return `${seconds < 10 ? seconds.toFixed(2) : seconds.toFixed(0)} s`;
}

function shortfalls(outside, all) {
  if (outside.length === 0) return "";
  const lines = outside.map(({ name, network, engine }) => {
    const off = figures.filter((figure) => isOutside(all.get(name), figure));
    return `- ${name} (${off.join(", ")}): ${reasons[`${network} ${engine}`] ?? "not understood."}`;
  });
  return `\nWhat falls short, and why:\n\n${lines.join("\n")}\n`;
}
