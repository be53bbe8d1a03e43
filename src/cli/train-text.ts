/** @file Lines that training prints: one for each event, and the result. */
import { formatSeconds } from "../cli-api.ts";
import type { Epoch, FinetuneResult, ProgressEvent, SampleUnit } from "../index.ts";
import { columns } from "./columns.ts";
import { costTable, figure } from "./run-text.ts";
import type { Terminal } from "./terminal.ts";

/** Shows what a run says of its progress. */
export function show(event: ProgressEvent, terminal: Terminal): void {
  const { tell, notice, progress } = terminal;
  switch (event.kind) {
    case "warning":
      notice(`warning: ${event.message}`);
      break;
    case "note":
      tell(event.message);
      break;
    case "plan":
      event.lines.forEach(tell);
      break;
    case "extract":
      progress.update("features", event.done, event.total, event.unit, cachedText(event.cached));
      break;
    case "step":
      progress.step(event);
      break;
    case "epoch": {
      progress.epochEnd(event);
      const line = epochLine(event, terminal.columns);
      tell(line.replace(/ best$/, () => ` ${terminal.paint("green", "best")}`));
    }
  }
}

function cachedText(cached: number): string {
  return cached > 0 ? `${cached} from the cache` : "";
}

/**
 * Returns the line of an epoch that is over, in at most `width` columns: its figures by their names, or where these are too long with
 * the validation figures behind those of training, then fewer of them.
 */
export function epochLine(
  { epoch, epochs, best }: Extract<ProgressEvent, { kind: "epoch" }>,
  width: number,
): string {
  const number = `epoch ${String(epoch.epoch).padStart(String(epochs).length)}/${epochs}`;
  const metric = headlineMetric(epoch);
  const told = (name: string, as = name): readonly string[] => {
    const value = epoch[name];
    return value === undefined ? [] : [`${as} ${figure(value)}`];
  };
  const pair = (name: string): string => [...told(name), ...told(`val_${name}`, "val")].join(" ");
  const all = ["loss", ...(metric === undefined ? [] : [metric])];
  const choices: readonly (readonly string[])[] = [
    [...all, ...all.map((name) => `val_${name}`)].flatMap((name) => told(name)),
    all.map(pair),
    [pair("loss"), ...(metric === undefined ? [] : told(`val_${metric}`))],
    [pair("loss")],
  ];
  const lines = choices.map((figures) =>
    [number, ...figures, formatSeconds(epoch.seconds), ...(best ? ["best"] : [])].join("  "),
  );
  // The form is the same for all epochs of a run, best or not.
  const longest = (line: string): number => line.length + (best ? 0 : "  best".length);
  return lines.find((line) => longest(line) <= width) ?? (lines.at(-1) as string).slice(0, width);
}

/** Figures of an epoch that are no metrics. */
const notMetrics: ReadonlySet<string> = new Set(["epoch", "phase", "lr", "seconds", "loss"]);

/** Returns the name of the metric that says most, the task's first; undefined where it has none. */
function headlineMetric(epoch: Epoch): string | undefined {
  return Object.keys(epoch).find((name) => !notMetrics.has(name) && !/^val_|_loss$/.test(name));
}

/** Returns the first metric, or the loss where there is none, of samples that were held out if there are any. */
function headline(epoch: Epoch, unit: SampleUnit): string {
  const name = headlineMetric(epoch) ?? "loss";
  const held = epoch[`val_${name}`];
  return held === undefined
    ? `${name} ${figure(epoch[name] ?? Number.NaN)} on the ${unit} it trained on`
    : `${name} ${figure(held)} on ${unit} it did not train on`;
}

/** With more classes only the worst are printed; the report has them all. */
const mostClasses = 10;

/** Returns a table of the classes of the validation samples, the lowest F1 first. */
function classLines(validation: FinetuneResult["validation"]): readonly string[] {
  const several = (validation?.outputs.length ?? 0) > 1;
  return (validation?.outputs ?? []).flatMap(({ name, perClass = [] }) => {
    if (perClass.length === 0) return [];
    const rows = perClass
      .toSorted((a, b) => a.f1 - b.f1)
      .slice(0, mostClasses)
      .map(({ label, precision, recall, f1, support }) => [
        `          ${label}`,
        ...[precision, recall, f1].map(figure),
        String(support),
      ]);
    const head = [`classes   ${several ? name : ""}`, "precision", "recall", "f1", "samples"];
    return columns([head, ...rows], new Set([1, 2, 3, 4]));
  });
}

/** Prints how a run ended: what `--quiet` leaves out, and the best epoch with the figures of test. */
export function showResult(
  out: string,
  result: FinetuneResult,
  unit: SampleUnit,
  { tell, notice, print, paint }: Terminal,
): void {
  for (const line of endLines(result, unit)) (line.startsWith("proof     FAILED") ? notice : tell)(line);
  for (const line of resultLines(out, result, unit)) print(paint("bold", line));
}

/** Returns a run's cost beside the plan, the proof, the files and the classes. */
function endLines(result: FinetuneResult, unit: SampleUnit): string[] {
  const lines = ["", ...costTable(result)];
  const { proof, bad, features } = result;
  lines.push(
    proof.unchanged
      ? `proof     ${proof.weights.length} frozen weights have the same sha256 as before`
      : `proof     FAILED: ${proof.weights
          .filter((weight) => weight.before !== weight.after)
          .map((weight) => weight.name)
          .join(", ")} changed`,
  );
  lines.push(
    `features  ${features.samples} ${unit}, ${features.cached} from the cache, ${features.extracted} computed`,
  );
  if (bad.length > 0) {
    const skipped = `${bad.length} ${bad.length === 1 ? unit.slice(0, -1) : unit}`;
    const how = unit === "images" ? "decoded" : "read";
    lines.push(`skipped   ${skipped} that cannot be ${how}, listed in bad-${unit}.csv`);
  }
  lines.push(`files     ${result.files.join("  ")}`);
  lines.push(...classLines(result.validation));
  return lines;
}

function resultLines(out: string, result: FinetuneResult, unit: SampleUnit): string[] {
  const best = result.history.find((epoch) => epoch.epoch === result.bestEpoch);
  const lines: string[] = [];
  if (best) {
    lines.push(
      `result    ${headline(best, unit)} (epoch ${best.epoch} of ${result.history.length}), in ${out}`,
    );
  }
  if (result.test) {
    const { samples, loss, metrics } = result.test;
    const figures = Object.entries({ loss, ...metrics }).flatMap(([name, value]) =>
      typeof value === "number" ? [`${name} ${figure(value)}`] : [],
    );
    lines.push(`test      ${figures.join("  ")} on ${samples} ${unit} of test`);
  }
  return lines;
}

/** Returns what `--json` prints of a run. */
export function runDocument(out: string, result: FinetuneResult): object {
  const { checkpoint, ...rest } = result;
  return { out, epochs: result.history.length, labels: checkpoint.notes.labels ?? [], ...rest };
}
