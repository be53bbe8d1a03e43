/**
 * The question's own example: chains of Dense layers, frozen but for the last or only the first. `npm run bench:chains [-- --repeats 5]
 * [--only "12 of 5, the first;parts"]` writes its section of bench/RESULTS.md, which keeps its other rows.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { interleaved, median, python, ratio, run, table } from "./side-by-side.mjs";

const policies = { "the first": "1", "all but the last": "-1" };
const chains = [
  { layers: 2, units: 64 },
  { layers: 12, units: 64 },
  { layers: 12, units: 5 },
];
const heading = "## Chains of Dense layers";

const nameOf = ({ layers, units, frozen }) => `${layers} of ${units}, ${frozen}`;
const cuts = chains.flatMap((chain) =>
  Object.entries(policies).map(([frozen, depth]) => ({ ...chain, frozen, depth })),
);
const partsName = "parts";
const everything = [...cuts.map(nameOf), partsName];
const head = ["Dense layers", "frozen", "native", "wasm", "Keras", "epoch", "whole job", "peak memory"];
const partsHead = [
  ...["engine", "frozen", "ms a step", "end of an epoch", "with clocks", "in kernels", "kernels"],
  ...["reads and uploads", "JavaScript"],
];
/** Layers whose weights train in the two cuts of 12 layers. */
const trainedLayers = { most: 11, fewest: 1 };

/** Returns the section. Rows that are not measured again are those of `earlier`, the section as it was. */
export function denseChains({ repeats, only = everything, earlier = "" }) {
  const folder = mkdtempSync(join(tmpdir(), "finetune-bench-"));
  const model = (cut) => join(folder, `${cut.layers}-${cut.units}.keras`);
  const keras = (cut, what) => {
    const { layers, units, depth } = cut;
    return ["bench/keras_dense_chain.py", model(cut), `${layers}`, `${units}`, depth, what];
  };
  const ours =
    (script, cut, engine, ...more) =>
    () =>
      run(process.execPath, [script, model(cut), cut.depth, ...more], { KERAS_FINETUNE_ENGINE: engine });
  const rowOf = (cut) => {
    const { native, wasm, theirs } = interleaved(
      {
        native: ours("bench/dense-chain.mjs", cut, "native"),
        wasm: ours("bench/dense-chain.mjs", cut, "wasm"),
        theirs: () => run(python, keras(cut, "fit")),
      },
      repeats,
    );
    const share = median([...native, ...wasm, ...theirs].map(({ othersShare }) => othersShare));
    process.stderr.write(`${nameOf(cut)}: others took ${Math.round(100 * share)} % of the machine\n`);
    return [
      ...[`${cut.layers} of ${cut.units}`, cut.frozen, trained(native), trained(wasm), trained(theirs)],
      ratio(native, theirs, ({ epochs }) => epochs.slice(1)),
      ratio(native, theirs, ({ wholeSeconds }) => wholeSeconds),
      ratio(native, theirs, ({ peakBytes }) => peakBytes),
    ];
  };
  const partsRow = (engine, cut) => {
    const { plain, clocked } = interleaved(
      {
        plain: ours("bench/dense-chain-parts.mjs", cut, engine),
        clocked: ours("bench/dense-chain-parts.mjs", cut, engine, "clocks"),
      },
      repeats,
    );
    const of = (runs) => (name) => median(runs.map((each) => each[name]));
    return [engine, cut.frozen, ...partsOf(of(plain), of(clocked))];
  };
  const chosen = cuts.filter((cut) => only.includes(nameOf(cut)));
  const small = only.includes(partsName) ? cuts.filter(({ units }) => units === 5) : [];
  for (const cut of new Set([...chosen, ...small])) run(python, keras(cut, "make"));
  const rows = merged(earlier, head, chosen.map(rowOf));
  const parts = merged(
    earlier,
    partsHead,
    ["native", "wasm"].flatMap((engine) => small.map((cut) => partsRow(engine, cut))),
  );
  rmSync(folder, { recursive: true });
  return `${heading}

The question's own example: X of 100x5, Dense layers of 64 or of 5 units without activation, the last of 1, RMSprop, 100 epochs of batches of 32.
"native", "wasm" and "Keras" are the seconds of the 100 epochs, medians of ${repeats}; the ratios are those of the native engine.
Freezing gains Keras nothing: a row in which it takes far longer than in the others had other work beside it.

${table(head, rows)}

Where a step of the 12 layers of 5 goes, in milliseconds, means over the 100 epochs; the parts are those of another run, with a clock around every
kernel.

${table(partsHead, parts)}

What the layers do not take is the same for both cuts and bounds what freezing gains: the batch, the loss and its gradient, the figures of a step.
${bounds(parts)}`;
}

/** Returns the rows of the table with that head, new ones in the place of those before. */
function merged(earlier, columns, rows) {
  const lines = earlier.split("\n");
  const first = lines.indexOf(`| ${columns.join(" | ")} |`) + 2;
  const after = first < 2 ? [] : lines.slice(first);
  const end = after.findIndex((line) => !line.startsWith("|"));
  const kept = after.slice(0, end < 0 ? undefined : end).map((line) => line.slice(2, -2).split(" | "));
  const keyOf = ([one, other]) => `${one}, ${other}`;
  const known = new Map([...kept, ...rows].map((row) => [keyOf(row), row]));
  const order = [
    ...cuts.map(nameOf),
    ...["native", "wasm"].flatMap((engine) => cuts.map(({ frozen }) => `${engine}, ${frozen}`)),
  ];
  return [...new Set(order)].flatMap((key) => (known.has(key) ? [known.get(key)] : []));
}

function trained(runs) {
  return median(runs.map(({ epochs }) => epochs.reduce((sum, seconds) => sum + seconds, 0))).toFixed(2);
}

/** Returns the figures of a step, from runs without and with clocks. */
function partsOf(plain, clocked) {
  const [step, kernels, transfers] = ["step", "kernels", "transfers"].map(clocked);
  const figures = [plain("step"), plain("judged"), step, kernels, transfers, step - kernels - transfers];
  const [whole, end, ...others] = figures.map((each) => each.toFixed(2));
  return [whole, end, ...others.slice(0, 2), clocked("count").toFixed(0), ...others.slice(2)];
}

/** Says for each engine how much of a step is fixed, and what that bounds the gain of freezing to. */
function bounds(parts) {
  const msOf = (engine, frozen) =>
    Number(parts.find(([name, cut]) => name === engine && cut === frozen)?.[2] ?? Number.NaN);
  const sentence = (engine) => {
    const [most, fewest] = Object.keys(policies).map((frozen) => msOf(engine, frozen));
    const layer = (most - fewest) / (trainedLayers.most - trainedLayers.fewest);
    const fixed = fewest - layer;
    return (
      `On ${engine} a trained layer takes ${layer.toFixed(3)} ms of a step, and ${fixed.toFixed(2)} ms are fixed: freezing all but one of ` +
      `${trainedLayers.most} layers gains ${(most / fewest).toFixed(1)}x, and could gain ${(most / fixed).toFixed(1)}x if that one took no time; ` +
      `6x takes a fixed part of ${Math.max(0, most / 6 - layer).toFixed(2)} ms.`
    );
  };
  return ["native", "wasm"].map(sentence).join("\n");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      repeats: { type: "string", default: "5" },
      only: { type: "string", default: everything.join(";") },
    },
  });
  const page = "bench/RESULTS.md";
  const [before, earlier] = readFileSync(page, "utf8").split(heading);
  const only = values.only.split(";");
  const section = denseChains({ repeats: Number(values.repeats), only, earlier });
  writeFileSync(page, `${before}${section}\n`);
  process.stdout.write(`${section}\n`);
}
