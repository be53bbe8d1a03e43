/** Whole processes beside each other: one of ours, one of Keras's, in turn, so that both see the same machine. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";

export const python = process.env.KERAS_PYTHON ?? ".venv/bin/python";
const quiet = { ...process.env, TF_CPP_MIN_LOG_LEVEL: "3", CUDA_VISIBLE_DEVICES: "" };

/** A command that every process runs under, for example `taskset -c 0-3`. */
const runner = (process.env.BENCH_RUNNER ?? "").split(" ").filter((word) => word !== "");

/** What a process printed last, as JSON if it printed anything, how long it took from start to end, and the share of the machine that others took meanwhile. */
export function run(command, args, settings = {}) {
  const [started, busyBefore] = [performance.now(), busySeconds()];
  const [first, ...others] = [...runner, command, ...args];
  const { status, stdout, stderr } = spawnSync(first, others, {
    env: { ...quiet, ...settings },
    encoding: "utf8",
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}\n${stderr}`);
  const last = stdout.slice(stdout.lastIndexOf("\n{") + 1).trim();
  const printed = last === "" ? {} : JSON.parse(last);
  const wholeSeconds = (performance.now() - started) / 1000;
  const othersShare = Math.max(0, (busySeconds() - busyBefore) / (wholeSeconds * cpus().length));
  return { ...printed, wholeSeconds, othersShare };
}

/** Returns the processor seconds that others have used since the machine started: all but what our children have. */
function busySeconds() {
  const all =
    cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0) / 1000;
  const own = "/proc/self/stat";
  // Fields 16 and 17 of the file are the ticks of the children that have ended, a hundredth of a second each.
  const fields = existsSync(own) ? readFileSync(own, "utf8").split(") ")[1].split(" ") : [];
  return all - (Number(fields[13] ?? 0) + Number(fields[14] ?? 0)) / 100;
}

/** Runs each job `repeats` times in turn. Returns the runs of each. */
export function interleaved(jobs, repeats) {
  const runs = Object.fromEntries(Object.keys(jobs).map((name) => [name, []]));
  for (let repeat = 0; repeat < repeats; repeat++) {
    for (const [name, job] of Object.entries(jobs)) {
      runs[name].push(job());
      process.stderr.write(`${name}: ${repeat + 1} of ${repeats}\n`);
    }
  }
  return runs;
}

export function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Medians of ours over Keras's, as a cell of a table. */
export const ratio = (ours, theirs, figure) =>
  (median(ours.flatMap(figure)) / median(theirs.flatMap(figure))).toFixed(2);

export function table(head, rows) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

/** Writes a value as JSON, numbers with four digits, lists of them in a line. */
export function writeFigures(file, value) {
  const rounded = (_, each) => (typeof each === "number" ? Number(each.toPrecision(4)) : each);
  const text = JSON.stringify(value, rounded, 2);
  const inLine = text.replace(/\[([^[\]{}]*)\]/g, (_, list) => `[${list.trim().replace(/\s+/g, " ")}]`);
  writeFileSync(file, `${inLine}\n`);
}
