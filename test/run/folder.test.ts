import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { Checkpoint } from "../../src/checkpoint.ts";
import { KerasFileError, MachineError, UsageError } from "../../src/errors.ts";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import type { FinetunePlan } from "../../src/freeze/plan.ts";
import type { RunRecord } from "../../src/run/folder.ts";
import { makeRunFolder, modelFileAt, openRunFolder, removeRunFolder } from "../../src/run/folder.ts";

const fixtures = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "fixtures", "cli");
let checkpoint: Checkpoint;

beforeAll(async () => {
  const read = await readCheckpoint(join(fixtures, "small_resnet.keras"));
  checkpoint = { ...read, notes: { labels: ["a", "b", "c", "d"] } };
});

function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), "run-folder-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function record(changes: Partial<RunRecord> = {}): RunRecord {
  const cost = {
    multiplyAdds: { static: 1, dynamic: 2 },
    epochRatio: 0.5,
    extractionSeconds: 3,
    epochSeconds: 4,
    cacheBytes: 5,
    stepBytes: 6,
  };
  return {
    checkpoint,
    writing: { format: "keras" },
    args: { epochs: 2 },
    history: [
      {
        epoch: 1,
        phase: 1,
        loss: 1.5,
        accuracy: 0.5,
        val_loss: 1.25,
        val_accuracy: 0.75,
        lr: 1e-4,
        seconds: 2,
      },
      { epoch: 2, phase: 1, loss: 1, lr: 1e-4, seconds: 1 },
    ],
    bestEpoch: 1,
    task: { outputs: [], warnings: [] },
    plan: {
      layers: [],
      firstTrainable: "predictions",
      lastFrozen: null,
      parameters: { total: 2, trainable: 1 },
      frontier: [],
      warnings: [],
      cost: cost as NonNullable<FinetunePlan["cost"]>,
    },
    phases: [],
    proof: { unchanged: true, weights: [{ name: "conv1_conv/kernel", before: "ab", after: "ab" }] },
    engine: "wasm",
    threads: 2,
    precision: "float32",
    features: { samples: 3, extracted: 3, cached: 0, bytes: 9, seconds: 1 },
    unit: "images",
    bad: [],
    duplicates: [],
    warnings: [],
    measured: { extractionSeconds: 1, epochSeconds: 2, cacheBytes: 3, runSeconds: 5, peakBytes: 4 },
    ...changes,
  };
}

const runFiles = ["args.json", "history.csv", "labels.json", "model.keras", "plan.json"];
const json = (...path: string[]) => JSON.parse(readFileSync(join(...path), "utf8"));

describe("a run folder", () => {
  test("holds the model, its labels, the options, the history, and the plan beside what it cost and the proof", async () => {
    const out = join(scratch(), "deep", "run");
    const files = await openRunFolder(out).write(record());
    expect(files).toEqual(
      ["model.keras", "labels.json", "args.json", "history.csv", "plan.json"].map((name) => join(out, name)),
    );
    expect(readdirSync(out).sort()).toEqual([
      "args.json",
      "history.csv",
      "labels.json",
      "model.keras",
      "plan.json",
    ]);
    expect((await readCheckpoint(join(out, "model.keras"))).weights).toEqual(checkpoint.weights);
    expect(json(out, "labels.json")).toEqual(["a", "b", "c", "d"]);
    expect(json(out, "args.json")).toEqual({ epochs: 2 });
    const { plan, predicted, measured, proof, bestEpoch } = json(out, "plan.json");
    expect(plan.firstTrainable).toBe("predictions");
    expect([predicted, measured, proof]).toEqual([record().plan.cost, record().measured, record().proof]);
    expect([plan.cost, bestEpoch]).toEqual([undefined, 1]);
  });

  test("pictures that could not be decoded are listed, quoted where they must be", async () => {
    const out = join(scratch(), "run");
    const bad = [{ path: 'a,"b".jpg', reason: "the file is empty." }];
    await openRunFolder(out).write(record({ bad }));
    expect(readFileSync(join(out, "bad-images.csv"), "utf8")).toBe(
      'path,reason\n"a,""b"".jpg",the file is empty.\n',
    );
  });

  test("is refused where it holds something, unless it may be overwritten", () => {
    const out = scratch();
    writeFileSync(join(out, "notes.txt"), "mine");
    expect(() => openRunFolder(out)).toThrow(UsageError);
    expect(() => openRunFolder(out)).toThrow(
      `${out}: output: expected a new or empty folder, got one that holds notes.txt.`,
    );
    const file = join(out, "notes.txt");
    expect(() => openRunFolder(file, { overwrite: true })).toThrow("expected a folder, got a file");
    expect(readFileSync(file, "utf8")).toBe("mine");
  });

  test("an empty folder is taken", async () => {
    const out = scratch();
    await openRunFolder(out).write(record());
    expect(existsSync(join(out, "model.keras"))).toBe(true);
  });

  test("overwriting leaves the earlier run as it was until everything new is written", async () => {
    const out = join(scratch(), "run");
    await openRunFolder(out).write(record({ bad: [{ path: "x", reason: "y" }] }));
    writeFileSync(join(out, "mine.txt"), "mine");
    const before = readFileSync(join(out, "model.keras"));
    const folder = openRunFolder(out, { overwrite: true });
    expect(readFileSync(join(out, "model.keras")).equals(before)).toBe(true);
    await expect(folder.write(record({ writing: { format: "pickle" as never } }))).rejects.toThrow();
    expect(readFileSync(join(out, "model.keras")).equals(before)).toBe(true);
    expect(json(out, "args.json")).toEqual({ epochs: 2 });
    expect(existsSync(join(out, "bad-images.csv"))).toBe(true);
    expect(readdirSync(out).filter((name) => name.startsWith("."))).toEqual([]);

    await openRunFolder(out, { overwrite: true }).write(record({ args: { epochs: 9 } }));
    expect(json(out, "args.json")).toEqual({ epochs: 9 });
    expect(existsSync(join(out, "bad-images.csv"))).toBe(false);
    expect(readFileSync(join(out, "mine.txt"), "utf8")).toBe("mine");
  });

  test("a model of another format takes the place of the earlier one", async () => {
    const out = join(scratch(), "run");
    await openRunFolder(out).write(record());
    await openRunFolder(out, { overwrite: true }).write(record({ writing: { format: "h5" } }));
    expect(readdirSync(out).filter((name) => name.startsWith("model"))).toEqual(["model.h5"]);
    expect(modelFileAt(out)).toBe(join(out, "model.h5"));
  });

  test("a model that its format cannot hold is refused before training, by the path it would have", async () => {
    const out = join(scratch(), "run");
    const folder = openRunFolder(out);
    await folder.rehearse(checkpoint, { format: "keras" });
    expect(existsSync(join(out, "model.keras"))).toBe(false);
    const config = { class_name: "Functional", config: { name: "broken" } };
    const refusal = folder.rehearse({ ...checkpoint, modelConfig: config }, { format: "h5" });
    await expect(refusal).rejects.toThrow();
    await refusal.catch((error: Error) => expect(error.message).not.toContain(".partial-"));
    folder.discard();
    expect(existsSync(out)).toBe(false);
  });

  test("one that was opened and not written leaves nothing behind", () => {
    const parent = scratch();
    openRunFolder(join(parent, "deep", "run")).discard();
    expect(readdirSync(parent)).toEqual([]);
    const there = join(parent, "there");
    mkdirSync(there);
    openRunFolder(there).discard();
    expect(readdirSync(parent)).toEqual(["there"]);
    expect(readdirSync(there)).toEqual([]);
  });

  test("what a killed run left in it does not count as a result and goes", async () => {
    const out = join(scratch(), "run");
    const dead = spawnSync(process.execPath, ["-e", ""]).pid;
    mkdirSync(join(out, `.partial-${dead}-00000000`), { recursive: true });
    const folder = openRunFolder(out);
    expect(readdirSync(out)).toHaveLength(1);
    await folder.write(record());
    expect(readdirSync(out).filter((name) => name.startsWith("."))).toEqual([]);
  });

  test("one that another run writes to is refused, to overwrite it too, and that run ends as if alone", async () => {
    const out = join(scratch(), "run");
    const folder = openRunFolder(out);
    for (const overwrite of [false, true]) {
      expect(() => openRunFolder(out, { overwrite })).toThrow(UsageError);
      expect(() => openRunFolder(out, { overwrite })).toThrow(
        `${out}: output: expected a folder that no other run writes to, got one of process ${process.pid}.`,
      );
    }
    await folder.write(record());
    expect(readdirSync(out).sort()).toEqual(runFiles);
  });

  test("a place that cannot be written is an error of the machine before anything is computed", () => {
    const file = join(scratch(), "file");
    writeFileSync(file, "");
    expect(() => openRunFolder(join(file, "run"))).toThrow(MachineError);
    expect(() => openRunFolder(join(file, "run"))).toThrow(
      /output: expected a folder that can be written, got ENOTDIR/,
    );
  });

  test("the next free one is numbered after the model, made at once, and gone if nothing is put there", () => {
    const parent = join(scratch(), "runs");
    expect(makeRunFolder("models/resnet50.h5", parent)).toBe(join(parent, "resnet50-1"));
    expect(makeRunFolder("resnet50.keras", parent)).toBe(join(parent, "resnet50-2"));
    expect(makeRunFolder("runs/pets", parent)).toBe(join(parent, "pets-1"));
    expect(makeRunFolder("a/x.weights.h5", parent)).toBe(join(parent, "x-1"));
    writeFileSync(join(parent, "pets-1", "mine.txt"), "mine");
    for (const name of ["resnet50-1", "resnet50-2", "pets-1", "x-1"]) removeRunFolder(join(parent, name));
    expect(readdirSync(parent)).toEqual(["pets-1"]);
  });

  test("a model is found in it; any other path is itself", async () => {
    const out = join(scratch(), "run");
    await openRunFolder(out).write(record());
    expect(modelFileAt(out)).toBe(join(out, "model.keras"));
    expect(modelFileAt(join(out, "model.keras"))).toBe(join(out, "model.keras"));
    expect(modelFileAt(dirname(out))).toBe(dirname(out));
    await expect(readCheckpoint(modelFileAt(dirname(out)))).rejects.toThrow(KerasFileError);
  });
});
