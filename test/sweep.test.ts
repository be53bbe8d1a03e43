import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { ensureEngine, useEngine } from "../src/engine/backend.ts";
import type { FinetuneResult, Sweep, SweepOptions } from "../src/index.ts";
import {
  arrayDataset,
  finetune,
  freezeAllButHead,
  freezeUntil,
  imageFolder,
  readCheckpoint,
  sweep,
  UsageError,
} from "../src/index.ts";
import { randomGenerator } from "../src/random.ts";
import { writeReport } from "../src/run/saved-runs.ts";
import { float32Tensor } from "../src/tensor.ts";
import { runCli } from "./cli/run-cli.ts";

const folder = mkdtempSync(join(tmpdir(), "sweep-"));
const cache = join(folder, "cache");
const model = "fixtures/cli/small_resnet.keras";
const data = "fixtures/demo/photos";
const out = join(folder, "whole");
const shared = { model, data, cache, batchSize: 8, epochs: 2, report: false } as const;
const grid = { freeze: [freezeAllButHead(), freezeUntil("conv3")], learningRate: [0.01, 0.001] } as const;
let whole: Sweep;

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
  whole = await sweep({ ...shared, grid, out, report: true });
});
afterAll(() => rmSync(folder, { recursive: true }));

function scratch(): string {
  const own = mkdtempSync(join(tmpdir(), "sweep-"));
  onTestFinished(() => rmSync(own, { recursive: true }));
  return own;
}

async function weightsIn(run: string) {
  return (await readCheckpoint(join(run, "model.keras"))).weights;
}

/** The table without what is another each time: the seconds and the folder. */
function tableIn(path: string): readonly string[] {
  const [head = "", ...rows] = readFileSync(join(path, "sweep.csv"), "utf8").trimEnd().split("\n");
  const left = head.split(",").map((name) => !["seconds", "out"].includes(name));
  return [head, ...rows].map((row) =>
    row
      .split(",")
      .filter((_, column) => left[column])
      .join(),
  );
}

describe("a sweep", () => {
  test("extracts every sample once for all cuts, and makes a run folder for each combination", async () => {
    const { samples } = await imageFolder(data);
    expect(whole.features.extracted).toBe(samples.length);
    expect(readdirSync(out).sort()).toEqual(["1", "2", "3", "4", "sweep.csv", "sweep.json"]);
    const settings = whole.runs.toSorted((a, b) => a.number - b.number).map((run) => run.settings);
    expect(settings).toEqual(
      grid.freeze.flatMap((freeze) => grid.learningRate.map((learningRate) => ({ freeze, learningRate }))),
    );
    expect(whole.runs.map(({ out: own }) => existsSync(join(String(own), "model.keras")))).toEqual(
      Array(4).fill(true),
    );
  });

  test("ranks the runs by the best epoch's val_loss, in the result and in the table", () => {
    const losses = whole.runs.map(({ metrics }) => metrics["val_loss"] ?? Number.NaN);
    expect(losses).toEqual([...losses].sort((a, b) => a - b));
    expect(whole.monitor).toEqual({ name: "val_loss", direction: "min" });
    const rows = tableIn(out).map((row) => row.split(","));
    expect(rows[0]?.slice(0, 3)).toEqual(["rank", "run", "val_loss"]);
    expect(rows.slice(1).map(([rank, run, loss]) => [rank, run, loss])).toEqual(
      whole.runs.map(({ number }, index) => [`${index + 1}`, `${number}`, `${losses[index]}`]),
    );
  });

  test("makes the runs that finetune makes, to the bit, though later cuts begin at the features of earlier ones", async () => {
    const [freeze, learningRate] = [grid.freeze[0], grid.learningRate[1]];
    const alone = await finetune({ ...shared, freeze, learningRate, cache: false });
    expect(await weightsIn(join(out, "2"))).toEqual(alone.checkpoint.weights);
    const run = whole.runs.find(({ number }) => number === 2);
    const best = alone.history.find(({ epoch }) => epoch === alone.bestEpoch);
    expect(run?.metrics).toMatchObject({ val_loss: best?.val_loss, loss: best?.loss });
    expect([run?.bestEpoch, run?.learningRate, run?.firstTrainable]).toEqual([
      alone.bestEpoch,
      learningRate,
      alone.plan.firstTrainable,
    ]);
  });

  test("runs nothing again when all is there, and adds runs where the grid has more values", async () => {
    const before = readFileSync(join(out, "1", "model.keras"));
    const again = await sweep({ ...shared, grid, out, report: true });
    expect([again.runs, again.features.extracted]).toEqual([whole.runs, 0]);
    const events: boolean[] = [];
    const more = await sweep({
      ...shared,
      ...{ out, report: true, grid: { ...grid, learningRate: [0.01, 0.1] } },
      onRun: ({ isKept, outcome }) => outcome && events.push(isKept),
    });
    expect(events).toEqual([true, false, true, false]);
    expect(more.runs.map(({ number }) => number).sort()).toEqual([1, 3, 5, 6]);
    expect(readFileSync(join(out, "1", "model.keras"))).toEqual(before);
  });

  test("is compared by report, which passes its own files over", async () => {
    const page = join(scratch(), "comparison.html");
    const paths = ["1", "2", "sweep.csv", "sweep.json"].map((name) => join(out, name));
    expect(await writeReport(paths, page)).toBe(page);
  });

  test("has a row for a run that diverges, the last, and goes on", async () => {
    const own = join(scratch(), "out");
    const asked: SweepOptions = {
      ...{ ...shared, out: own, optimizer: "SGD", freeze: freezeAllButHead(), epochs: 2 },
      grid: { learningRate: [1e38, 0.01] },
    };
    const { runs } = await sweep(asked);
    expect(runs.map(({ status, number }) => [status, number])).toEqual([
      ["finished", 2],
      ["failed", 1],
    ]);
    expect(runs[1]?.error).toMatch(/expected finite numbers, got NaN or infinity/);
    expect(runs[1]?.metrics).toEqual({});
    expect((await sweep(asked)).runs).toEqual(runs);
  });

  test("writes nothing without out, and leaves no features where cache is false", async () => {
    const temporary = (): readonly string[] =>
      readdirSync(tmpdir()).filter((name) => name.startsWith("keras-finetune-sweep-"));
    const before = temporary();
    const { runs, table, features } = await sweep({
      ...{ ...shared, cache: false, epochs: 1 },
      grid: { seed: [0, 1], freeze: grid.freeze },
    });
    expect([runs.length, table, runs[0]?.out, features.extracted]).toEqual([4, null, null, 75]);
    expect(temporary()).toEqual(before);
  });
});

describe("a sweep on arrays", () => {
  test("extracts each sample once for all cuts and rates, and ends with the bits of runs of their own", async () => {
    const random = randomGenerator(1);
    const [count, size] = [12, 32];
    const labels = Float32Array.from({ length: count }, (_, row) => row % 4);
    const pixels = Float32Array.from({ length: count * size * size * 3 }, () => random.nextFloat());
    const arrays = arrayDataset(
      float32Tensor(pixels, [count, size, size, 3]),
      float32Tensor(labels, [count]),
      { validationFraction: 0.25 },
    );
    const own = { model, data: arrays, batchSize: 4, epochs: 1 } as const;
    const results: FinetuneResult[] = [];
    for (const freeze of grid.freeze) results.push(await finetune({ ...own, freeze, learningRate: 0.01 }));
    const { runs, features, monitor } = await sweep({ ...own, grid });
    expect([runs.length, features.extracted, monitor.name]).toEqual([4, count, "val_loss"]);
    for (const [index, { history }] of results.entries()) {
      const run = runs.find(({ number }) => number === 1 + 2 * index);
      expect(run?.metrics["val_loss"]).toBe(history[0]?.val_loss);
    }
    expect((await finetune({ ...own, freeze: grid.freeze[0] })).features.extracted).toBe(count);
  });
});

describe("a sweep that is killed", () => {
  test("goes on where it was: the same figures and the same bits", async () => {
    const own = join(scratch(), "out");
    const command = [
      ...["sweep", "--model", model, "--data", data, "--cache", cache, "--batch-size", "8", "--epochs", "2"],
      ...["--freeze-until", "conv3", "--lr", "0.01,0.001", "--out", own],
    ];
    const { KERAS_FINETUNE_ENGINE, KERAS_FINETUNE_HOME } = process.env;
    const env =
      KERAS_FINETUNE_ENGINE && KERAS_FINETUNE_HOME ? { KERAS_FINETUNE_ENGINE, KERAS_FINETUNE_HOME } : {};
    let waiting: NodeJS.Timeout | undefined;
    const killed = await runCli(command, {
      env,
      watch: (written, send) => {
        if (waiting !== undefined || !written.includes("run 2/2")) return;
        waiting = setInterval(() => {
          if (existsSync(join(own, "2", "state", "training.state"))) send("SIGKILL");
        }, 2);
      },
    });
    clearInterval(waiting);
    expect(killed.signal).toBe("SIGKILL");
    expect(existsSync(join(own, "1", "model.keras"))).toBe(true);
    const resumed = await runCli(command, { env });
    expect([resumed.code, resumed.stderr.match(/^\s+at /m)]).toEqual([0, null]);
    expect(resumed.stdout).toMatch(/^run 1\/2 .*: is there already.*\nrun 2\/2 /m);
    expect(resumed.stdout).toMatch(/^resumed {3}after epoch [12] of 2$/m);
    const record = JSON.parse(readFileSync(join(own, "sweep.json"), "utf8")) as {
      readonly runs: readonly { readonly outcome: Sweep["runs"][number] }[];
    };
    for (const [index, { outcome }] of record.runs.entries()) {
      const same = whole.runs.find(({ number }) => number === index + 3);
      expect([outcome.status, outcome.metrics, outcome.bestEpoch]).toEqual([
        "finished",
        same?.metrics,
        same?.bestEpoch,
      ]);
      expect(await weightsIn(join(own, String(index + 1)))).toEqual(await weightsIn(String(same?.out)));
    }
  });
});

describe("a sweep is refused before anything is computed", () => {
  const refused = async (options: Partial<SweepOptions>): Promise<string> => {
    const own = join(scratch(), "out");
    const error = await sweep({ ...shared, grid, out: own, ...options }).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(UsageError);
    expect(existsSync(join(own, "1"))).toBe(false);
    return (error as Error).message;
  };

  test("for a grid without values, or with an option that cannot vary", async () => {
    expect(await refused({ grid: {} })).toMatch(/^sweep: expected an option with several values/);
    expect(await refused({ grid: { loss: ["mse"] } as never })).toMatch(
      /^loss: expected an option that a sweep may vary/,
    );
    expect(await refused({ grid: { learningRat: [1] } as never })).toMatch(/Did you mean learningRate\?$/);
    expect(await refused({ grid: { batchSize: [] } })).toMatch(/^batchSize: expected a list of values/);
  });

  test("for a value that the option does not take, or one that is given beside the grid too", async () => {
    expect(await refused({ grid: { batchSize: [8, 0] } })).toMatch(/^batchSize: .* got 0/);
    expect(await refused({ learningRate: 1 })).toMatch(/^learningRate: .* in the grid or beside it/);
  });

  test("for a cut that matches nothing, and a monitor that is unknown", async () => {
    expect(await refused({ grid: { freeze: [freezeUntil("conv3"), freezeUntil("conv9")] } })).toMatch(
      /conv9/,
    );
    expect(await refused({ monitor: "val_nothing" })).toMatch(/^monitor: /);
  });

  test("for a folder with something else in it, or with a sweep of other options", async () => {
    const own = scratch();
    writeFileSync(join(own, "notes.txt"), "mine");
    await expect(sweep({ ...shared, grid, out: own })).rejects.toThrow(/one of a sweep, got one that holds/);
    await expect(sweep({ ...shared, grid, out, report: true, batchSize: 4 })).rejects.toThrow(
      /other options than it had \(batchSize\)/,
    );
  });
});
