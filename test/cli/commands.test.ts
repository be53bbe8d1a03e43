import { cpSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { readCheckpoint } from "../../src/index.ts";
import type { CliResult } from "./run-cli.ts";
import { fixture, lastingScratch, photos, runCli, runFiles, scratch } from "./run-cli.ts";

const model = fixture("cli", "small_resnet.keras");
const data = fixture("demo", "photos");
const expected = JSON.parse(readFileSync(fixture("cli", "expected.json"), "utf8")) as {
  picture: string;
  probabilities: number[];
};
let out: string;
let trained: CliResult;

beforeAll(async () => {
  out = join(lastingScratch(), "run");
  trained = await runCli([
    ...["--model", model, "--data", data, "--freeze-until", "conv3", "--epochs", "2", "--batch-size", "8"],
    ...["--lr", "0.01", "--out", out, "--json"],
  ]);
});

/** The one document on stdout. */
function document(result: CliResult): unknown {
  expect([result.code, result.stderr.match(/^\s+at /m)]).toEqual([0, null]);
  return JSON.parse(result.stdout);
}

describe("a run", () => {
  test("--json prints one document on stdout, with the plan and the proof, and everything else on stderr", () => {
    const run = document(trained) as Record<string, unknown> & {
      history: { epoch: number }[];
      proof: { unchanged: boolean; weights: { name: string; before: string; after: string }[] };
      plan: { firstTrainable: string; parameters: { trainable: number } };
    };
    expect(Object.keys(run).sort()).toEqual(
      [
        ...[
          "bad",
          "bestEpoch",
          "duplicates",
          "engine",
          "epochs",
          "features",
          "files",
          "history",
          "labels",
          "measured",
        ],
        ...["out", "phases", "plan", "precision", "proof", "task", "threads", "validation", "warnings"],
      ].sort(),
    );
    expect([run["out"], run["engine"], run["epochs"]]).toEqual([out, "wasm", 2]);
    expect(run["labels"]).toEqual(["brick", "grass", "gravel"]);
    expect(Object.keys(run["features"] as object).sort()).toEqual([
      "bytes",
      "cached",
      "extracted",
      "samples",
      "seconds",
    ]);
    expect(run.history.map(({ epoch }) => epoch)).toEqual([1, 2]);
    expect(Object.keys(run.history[0]!)).toEqual(
      expect.arrayContaining(["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds"]),
    );
    expect(run.plan.firstTrainable).toMatch(/^conv3_block1_/);
    expect(run.proof.unchanged).toBe(true);
    expect(run.proof.weights.some(({ name }) => name.startsWith("conv1_conv/"))).toBe(true);
    for (const { before, after } of run.proof.weights) {
      expect(before).toMatch(/^[0-9a-f]{64}$/);
      expect(after).toBe(before);
    }
    for (const word of ["engine ", "frontier ", "epoch 2/2", "proof ", "accuracy"]) {
      expect(trained.stderr).toContain(word);
    }
  });

  test("it leaves the run folder, and what it froze is as it was in the file it came from", async () => {
    const files = readdirSync(out)
      .filter((name) => name !== "state")
      .sort();
    expect(files).toEqual(runFiles);
    const read = (name: string) => readFileSync(join(out, name), "utf8");
    expect(JSON.parse(read("labels.json"))).toEqual(["brick", "grass", "gravel"]);
    expect(JSON.parse(read("args.json"))).toMatchObject({
      epochs: 2,
      batchSize: 8,
      seed: 0,
      preprocess: "caffe",
    });
    const [header, ...rows] = read("history.csv").trim().split("\n");
    expect(header).toBe("epoch,loss,accuracy,val_loss,val_accuracy,lr,seconds");
    expect(rows).toHaveLength(2);
    const plan = JSON.parse(read("plan.json"));
    expect(Object.keys(plan)).toEqual(expect.arrayContaining(["plan", "predicted", "measured", "proof"]));
    const [before, after] = [await readCheckpoint(model), await readCheckpoint(join(out, "model.keras"))];
    expect(after.weights.get("conv2_block1_1_conv")).toEqual(before.weights.get("conv2_block1_1_conv"));
    expect(after.weights.get("conv3_block1_1_conv")).not.toEqual(before.weights.get("conv3_block1_1_conv"));
    expect(after.notes).toMatchObject({ labels: ["brick", "grass", "gravel"], preprocess: "caffe" });
  });

  test("on several threads it comes to the same weights, and the output, args.json and plan.json name them", async () => {
    const divided = join(scratch(), "run");
    const run = await runCli([
      ...["--model", model, "--data", data, "--freeze-until", "conv3", "--epochs", "2", "--batch-size", "8"],
      ...["--lr", "0.01", "--out", divided, "--no-cache", "--threads", "2"],
    ]);
    const threads = Math.min(2, availableParallelism());
    expect([run.code, run.stdout.match(/engine .*, (\d) thread/)?.[1]]).toEqual([0, String(threads)]);
    for (const name of ["args.json", "plan.json"]) {
      const written = JSON.parse(readFileSync(join(divided, name), "utf8"));
      expect(written).toMatchObject({ engine: "wasm", threads });
    }
    const weights = async (folder: string) => (await readCheckpoint(join(folder, "model.keras"))).weights;
    expect(await weights(divided)).toEqual(await weights(out));
  });

  test("a second phase from the run folder keeps head and labels, and the default folder is numbered", async () => {
    const folder = scratch();
    const second = await runCli(
      ["--model", out, "--data", data, "--freeze-until", "conv3", "--epochs", "1"],
      {
        cwd: folder,
      },
    );
    expect([second.code, second.stderr.match(/^\s+at /m)]).toEqual([0, null]);
    expect(second.stdout).toMatch(/^files +runs\/run-1\/model\.keras/m);
    const first = JSON.parse(trained.stdout) as { history: { loss: number }[] };
    const [, loss] = /^epoch 1\/1 {2}loss (\S+)/m.exec(second.stdout)!;
    expect(Number(loss)).toBeLessThan(first.history[0]!.loss);
    expect(existsSync(join(folder, "runs", "run-1", "model.keras"))).toBe(true);
  });

  test("--dry-run prints the plan and leaves nothing", async () => {
    const folder = scratch();
    const dry = await runCli(["--model", model, "--data", data, "--freeze-until", "conv3", "--dry-run"], {
      cwd: folder,
    });
    expect(dry.code).toBe(0);
    expect(dry.stdout).toContain("conv3_block1_");
    expect(dry.stdout).toMatch(/^trainable params: [\d,]+ \|\| all params: [\d,]+ \|\| trainable%: [\d.]+/m);
    expect(dry.stdout).toMatch(/^frontier +conv2_block1_out/m);
    expect(dry.stdout).not.toMatch(/^epoch /m);
    expect(readdirSync(folder)).toEqual([]);
  });

  test("--overwrite replaces an earlier run", async () => {
    const folder = join(scratch(), "run");
    const args = [
      "--model",
      model,
      "--data",
      photos({ brick: 4, grass: 4 }),
      "--epochs",
      "1",
      "--out",
      folder,
    ];
    expect((await runCli(args)).code).toBe(0);
    const first = statSync(join(folder, "model.keras")).mtimeMs;
    expect((await runCli(args)).code).toBe(2);
    expect(statSync(join(folder, "model.keras")).mtimeMs).toBe(first);
    expect((await runCli([...args, "--overwrite"])).code).toBe(0);
    expect(statSync(join(folder, "model.keras")).mtimeMs).toBeGreaterThan(first);
  });

  test("a picture that cannot be decoded is counted, listed and left alone; --strict-data ends the run", async () => {
    const pictures = photos({ brick: 4, grass: 4 });
    const broken = join(pictures, "grass", "broken.jpg");
    writeFileSync(broken, "no picture");
    const folder = join(scratch(), "run");
    const args = ["--model", model, "--data", pictures, "--epochs", "1", "--out", folder];
    const strict = await runCli([...args, "--strict-data"]);
    expect([strict.code, strict.stderr.includes("broken.jpg"), existsSync(folder)]).toEqual([1, true, false]);
    const run = await runCli(args);
    expect(run.code).toBe(0);
    expect(run.stdout).toMatch(/^skipped +1 image that /m);
    expect(readFileSync(join(folder, "bad-images.csv"), "utf8")).toContain("broken.jpg");
    expect(readFileSync(broken, "utf8")).toBe("no picture");
  });
});

describe("the other commands", () => {
  test("plan prints the cost of 1,000 samples, or of the run on --data with its time and disk", async () => {
    const alone = await runCli(["plan", model, "--freeze-until", "conv3"]);
    expect(alone.stdout).toMatch(/^cache +1,000 samples x /m);
    expect(alone.stdout).toMatch(/^cost +per epoch \d+% of full training/m);
    const cache = join(scratch(), "cache");
    const data = ["--data", "fixtures/demo/photos", "--epochs", "2", "--cache", cache];
    const run = await runCli(["plan", model, "--freeze-until", "conv3", ...data]);
    expect(run.stdout).toMatch(/^data +3 classes, 45 \+ 30 images$/m);
    expect(run.stdout).toMatch(/^time +the whole run [\d.]+m?s: /m);
    expect(run.stdout).toMatch(/^disk +\S+ kB of features in /m);
    expect(existsSync(cache)).toBe(false);
  });

  test("plan prints the cut, warns where it is inside a block, and needs no data", async () => {
    const inside = await runCli(["plan", model, "--freeze-until", "conv3_block1_0_conv", "--classes", "3"]);
    expect(inside.code).toBe(0);
    expect(inside.stdout + inside.stderr).toMatch(
      /conv3_block1_0_conv cuts residual block conv3_block1: .*Frontier = 2 tensors/,
    );
    expect(inside.stdout.match(/^frontier +/gm)).toHaveLength(2);
    const json = document(await runCli(["plan", model, "--freeze-through", "conv2", "--json"])) as {
      firstTrainable: string;
      frontier: { tensor: string; shape: number[]; bytes: number }[];
    };
    expect(json.firstTrainable).toMatch(/^conv3_block1_/);
    expect(json.frontier.map(({ tensor }) => tensor)).toEqual(["conv2_block1_out"]);
    const { shape, bytes } = json.frontier[0]!;
    expect(bytes).toBe(4 * shape.slice(1).reduce((product, size) => product * size, 1));
  });

  test("inspect lists layers and stages, as text and as a document", async () => {
    const json = document(await runCli(["inspect", out, "--json"])) as {
      layers: { path: string }[];
      labels: string[];
    };
    const text = await runCli(["inspect", out]);
    expect(text.code).toBe(0);
    for (const { path } of json.layers) expect(text.stdout).toContain(` ${path} `);
    expect(json.labels).toEqual(["brick", "grass", "gravel"]);
    expect(text.stdout).toContain("labels    brick, grass, gravel");
  });

  test("predict gives Keras's probabilities, and a run folder's labels", async () => {
    const picture = fixture(expected.picture);
    const json = document(await runCli(["predict", model, picture, "--top", "4", "--json"])) as {
      path: string;
      predictions: { label: string; index: number; probability: number }[];
    }[];
    expect(json.map(({ path }) => path)).toEqual([picture]);
    for (const { index, probability } of json[0]!.predictions) {
      expect(Math.abs(probability - expected.probabilities[index]!)).toBeLessThan(2e-5);
    }
    const text = await runCli(["predict", out, fixture("demo", "photos", "val", "grass"), "--top", "1"]);
    expect(text.code).toBe(0);
    expect(text.stdout.trim().split("\n")).toHaveLength(20);
    expect(text.stdout).toMatch(/^ {2}(?:brick|grass|gravel) +0\.\d{4}$/m);
  });

  test("evaluate finds again what the run said of val/", async () => {
    const run = JSON.parse(trained.stdout) as { bestEpoch: number; history: Record<string, number>[] };
    const best = run.history[run.bestEpoch - 1]!;
    const json = document(await runCli(["evaluate", out, "--data", data, "--json"])) as {
      samples: number;
      loss: number;
      metrics: { accuracy: number };
      confusion: number[][];
    };
    expect(Object.keys(json).sort()).toEqual(
      ["samples", "labels", "loss", "metrics", "confusion", "perClass", "bad"].sort(),
    );
    expect(json.samples).toBe(30);
    expect(Math.abs(json.loss - best["val_loss"]!)).toBeLessThan(1e-4);
    expect(json.metrics.accuracy).toBeCloseTo(best["val_accuracy"]!, 10);
    expect(json.confusion.map((row) => row.reduce((sum, count) => sum + count))).toEqual([10, 10, 10]);
  });

  test.each(["valid", "validation"])("evaluate takes pictures held out in %s/", async (name) => {
    const root = scratch();
    for (const split of ["train", "val"]) {
      cpSync(join(data, split), join(root, split === "val" ? name : split), { recursive: true });
    }
    const json = document(await runCli(["evaluate", out, "--data", root, "--json"])) as { samples: number };
    expect(json.samples).toBe(30);
  });

  test("convert writes another format and says how far the predictions of both files are apart", async () => {
    const target = join(scratch(), "model.keras");
    const result = await runCli(["convert", fixture("cli", "small_resnet.h5"), target]);
    expect(result.code).toBe(0);
    expect(result.stdout).toMatch(
      /^parity +largest difference (?:0|\d\.\de-[6-9]) between the predictions of both files on 2 probes/m,
    );
    const [before, after] = [
      await readCheckpoint(fixture("cli", "small_resnet.h5")),
      await readCheckpoint(target),
    ];
    expect(after.weights).toEqual(before.weights);
    const json = document(await runCli(["convert", model, target, "--overwrite", "--json"]));
    expect(json).toMatchObject({ out: target, parity: { samples: 2 } });
  });

  test("convert warns where Keras 3 computes something else than Keras 1 did", async () => {
    const result = await runCli([
      "convert",
      fixture("models", "k122-convolutions.h5"),
      join(scratch(), "model.keras"),
    ]);
    expect(result.code).toBe(0);
    expect(result.stderr).toMatch(/^warning: Saved as \.keras, .*pointwise: Conv2D: hard_sigmoid was/m);
  });

  test("convert names the layer for which Keras 3 opens no .h5, and says what is left out", async () => {
    const nested = fixture("models", "k24-nested-partly.h5");
    const same = await runCli(["convert", nested, join(scratch(), "model.h5")]);
    expect(same.code).toBe(0);
    expect(same.stderr).toMatch(
      /^warning: Saved as \.h5, .*: base: Functional: .*Write \.keras for Keras 3\.$/m,
    );
    const words = fixture("models", "k29-sequential.h5");
    const newer = await runCli(["convert", words, join(scratch(), "model.keras")]);
    expect(newer.stderr).toMatch(/^note: The optimizer's state is left out/m);
  });

  test("convert --keras 3.0 writes a .keras in the form of that release, and no other format", async () => {
    const given = fixture("models", "k3-residual.keras");
    const target = join(scratch(), "model.keras");
    const result = await runCli(["convert", given, target, "--keras", "3.0"]);
    expect([result.code, result.stderr]).toEqual([0, ""]);
    expect(result.stdout).toMatch(/^parity +largest difference 0 /m);
    expect((await readCheckpoint(target)).kerasVersion).toBe("3.0.5");
    const refused = await runCli(["convert", given, join(scratch(), "model.h5"), "--keras", "3.0"]);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(/expected a name that ends in \.keras with --keras 3\.0/);
  });

  test("train --keras 3.0 leaves a model of that release, and is refused beforehand with another format", async () => {
    const run = ["--model", model, "--data", data, "--epochs", "1", "--keras", "3.0"];
    const out = join(scratch(), "run");
    expect((await runCli([...run, "--out", out])).code).toBe(0);
    expect((await readCheckpoint(join(out, "model.keras"))).kerasVersion).toBe("3.0.5");
    const refused = await runCli([...run, "--out", join(scratch(), "run"), "--format", "h5"]);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(/--keras 3\.0: expected the format keras, got h5/);
  });

  test("doctor says which engine runs and why, and what a run stands on", async () => {
    const json = document(await runCli(["doctor", "--json"])) as {
      node: { version: string };
      engine: { name: string; reason: string };
      decoder: { sharp: string };
      cache: { folder: string; bytes: number };
    };
    expect([json.node.version, json.engine.name]).toEqual([process.version, "wasm"]);
    expect(json.engine.reason).toContain("KERAS_FINETUNE_ENGINE");
    const { version } = JSON.parse(
      readFileSync(join(fixture(), "..", "node_modules", "sharp", "package.json"), "utf8"),
    );
    expect(json.decoder.sharp).toBe(version);
    const text = await runCli(["doctor", "--engine", "wasm"]);
    expect(text.stdout).toMatch(/^engine +wasm: tfjs 4\.22\.0, 1 thread {2}\(asked for\)$/m);
    expect(text.stdout).toContain(json.cache.folder);
  });

  test("an engine that does not work here is an error of the machine when it is asked for", async () => {
    const picture = fixture(expected.picture);
    const result = await runCli(["predict", model, picture, "--engine", "native"]);
    if (result.code === 0) return;
    expect([result.code, result.stdout]).toEqual([1, ""]);
    expect(result.stderr).toContain("finetune setup");
  });
});
