/** Whole processes beside each other: one of ours, one of Keras's, in turn, so that both see the same machine. */
import { spawnSync } from "node:child_process";

export const python = process.env.KERAS_PYTHON ?? ".venv/bin/python";
const quiet = { ...process.env, TF_CPP_MIN_LOG_LEVEL: "3", CUDA_VISIBLE_DEVICES: "" };

/** A command that every process runs under, for example `taskset -c 0-3`. */
const runner = (process.env.BENCH_RUNNER ?? "").split(" ").filter((word) => word !== "");

/** What a process printed last, as JSON, and how long it took from start to end. */
export function run(command, args, settings = {}) {
  const started = performance.now();
  const [first, ...others] = [...runner, command, ...args];
  const { status, stdout, stderr } = spawnSync(first, others, {
    env: { ...quiet, ...settings },
    encoding: "utf8",
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}\n${stderr}`);
  const printed = JSON.parse(stdout.slice(stdout.lastIndexOf("\n{") + 1));
  return { ...printed, wholeSeconds: (performance.now() - started) / 1000 };
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
