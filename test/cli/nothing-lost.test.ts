import { cpSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import type { Weights } from "../../src/index.ts";
import { readCheckpoint } from "../../src/index.ts";
import { isWhole, oneIn } from "../sample.ts";
import type { CliResult } from "./run-cli.ts";
import { fixture, lastingScratch, runCli, scratch } from "./run-cli.ts";

const images = 75;
const training = (cache: string, ...more: string[]): string[] => [
  ...["--model", fixture("cli", "small_resnet.keras"), "--data", fixture("demo", "photos")],
  ...["--freeze-until", "conv3", "--epochs=2", "--cache", cache, ...more],
];

interface Results {
  readonly weights: Weights;
  /** history.csv without the last column, the seconds. */
  readonly history: string;
}

async function resultsIn(out: string): Promise<Results> {
  const { weights } = await readCheckpoint(join(out, "model.keras"));
  const history = readFileSync(join(out, "history.csv"), "utf8").replace(/,[^,]*$/gm, "");
  return { weights, history };
}

/** Runs to the end; returns what it left and how many features came from the cache. */
async function finished(cache: string): Promise<{ results: Results; cached: number }> {
  const out = join(scratch(), "run");
  const result = await runCli(training(cache, "--out", out, "--json"));
  expect([result.code, result.stderr.match(/^\s+at /m)]).toEqual([0, null]);
  return { results: await resultsIn(out), cached: JSON.parse(result.stdout).features.cached };
}

/** Runs the command with a fault at the `at`-th write of the cache. */
function runWithFault(fault: "kill" | "full", at: number, args: readonly string[]): Promise<CliResult> {
  const preload = pathToFileURL(join(import.meta.dirname, "cache-fault.mjs")).href;
  return runCli(args, { env: { NODE_OPTIONS: `--import ${preload}`, FAULT: fault, FAULT_AT: String(at) } });
}

/** Paths of the cache's files of one kind, `.pack` or `.keys`. */
function cacheFiles(cache: string, ending: string): string[] {
  const names = readdirSync(cache, { recursive: true, encoding: "utf8" });
  return names.filter((name) => name.endsWith(ending)).map((name) => join(cache, name));
}

let earlier: string;
let filled: string;
let undisturbed: Results;

beforeAll(async () => {
  const folder = lastingScratch();
  [earlier, filled] = [join(folder, "run"), join(folder, "cache")];
  const result = await runCli(training(filled, "--out", earlier));
  expect(result.code).toBe(0);
  undisturbed = await resultsIn(earlier);
});

/** A copy that the test may spoil. */
function copyOf(folder: string): string {
  const copy = join(scratch(), "copy");
  cpSync(folder, copy, { recursive: true });
  return copy;
}

/** The files of a run folder with their bytes, but for those of runs that have not ended. */
function filesOf(out: string): [name: string, bytes: string][] {
  const ofLast = ["state", "events.jsonl"];
  const names = readdirSync(out).filter((name) => !name.startsWith(".") && !ofLast.includes(name));
  return names.map((name) => [name, readFileSync(join(out, name), "latin1")]);
}

describe("kill -9", () => {
  // A record is one write, and its key the next.
  const moments: readonly (readonly [where: string, write: number])[] = [
    ["inside a record", 41],
    ["inside the first record", 1],
    ["inside a key", 40],
  ];
  test.each(oneIn(3, moments))(
    "%s of the cache: the next run takes what is whole and ends with the same weights, to the bit",
    async (_where, write) => {
      const cache = join(scratch(), "cache");
      const out = join(scratch(), "run");
      const killed = await runWithFault("kill", write, training(cache, "--out", out));
      // What --resume begins from.
      expect([killed.signal, filesOf(out).map(([name]) => name)]).toEqual(["SIGKILL", ["args.json"]]);
      const { results, cached } = await finished(cache);
      expect(cached).toBe(Math.floor((write - 1) / 2));
      expect(results).toEqual(undisturbed);
    },
  );

  test("while it trains: the run that it was to replace is untouched, and one like it then replaces it", async () => {
    const out = copyOf(earlier);
    const again = training(filled, "--out", out, "--overwrite", "--seed", "7");
    const endless = again.map((arg) => arg.replace("epochs=2", "epochs=100000"));
    const killed = await runCli(endless, {
      watch: (written, send) => {
        if (written.includes("epoch      2/")) send("SIGKILL");
      },
    });
    expect([killed.signal, filesOf(out)]).toEqual(["SIGKILL", filesOf(earlier)]);
    expect((await runCli(again)).code).toBe(0);
    expect(filesOf(out).map(([name]) => name)).toEqual(filesOf(earlier).map(([name]) => name));
    expect(await resultsIn(out)).not.toEqual(undisturbed);
    expect(readdirSync(out).filter((name) => name.startsWith("."))).toEqual([]);
  });
});

describe.runIf(isWhole)("a disk that fills while features are cached", () => {
  test("is said once; the run ends with the same weights, and what was whole by then is used by the next", async () => {
    const cache = join(scratch(), "cache");
    const out = join(scratch(), "run");
    const full = await runWithFault("full", 31, training(cache, "--out", out));
    expect(full.code).toBe(0);
    expect(full.stderr.match(/^warning: feature cache .*: no space left on the device\. /gm)).toHaveLength(1);
    expect(await resultsIn(out)).toEqual(undisturbed);
    expect(await finished(cache)).toEqual({ results: undisturbed, cached: 15 });
  });
});

describe.runIf(isWhole)("a damaged cache", () => {
  test("a changed byte and a pack cut short are noticed, and computed again to the same weights", async () => {
    const cache = copyOf(filled);
    const [pack] = cacheFiles(cache, ".pack");
    const recordBytes = statSync(pack!).size / images;
    const bytes = readFileSync(pack!);
    bytes[10 * recordBytes + 5]! ^= 1;
    writeFileSync(pack!, bytes);
    truncateSync(pack!, bytes.length - recordBytes - 1);
    writeFileSync(join(cache, "files.index"), "rubbish\n".repeat(500));
    expect(await finished(cache)).toEqual({ results: undisturbed, cached: images - 3 });
    expect(await finished(cache)).toEqual({ results: undisturbed, cached: images });
  });
});

describe.runIf(isWhole)("two runs at once", () => {
  test("on one cache and with no --out: each has a folder of its own and the weights that it has alone", async () => {
    const folder = scratch();
    const args = training(join(folder, "cache"));
    const both = await Promise.all([runCli(args, { cwd: folder }), runCli(args, { cwd: folder })]);
    for (const { code, stderr } of both) expect([code, stderr.match(/^\s+at /m)]).toEqual([0, null]);
    const runs = readdirSync(join(folder, "runs")).sort();
    expect(runs).toEqual(["small_resnet-1", "small_resnet-2"]);
    for (const run of runs) expect(await resultsIn(join(folder, "runs", run))).toEqual(undisturbed);
  });
});
