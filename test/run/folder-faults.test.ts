import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { Checkpoint, CheckpointFormat } from "../../src/checkpoint.ts";
import { MachineError } from "../../src/errors.ts";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import type { RunRecord } from "../../src/run/folder.ts";
import { modelFileAt, openRunFolder } from "../../src/run/folder.ts";
import { withDiskFault } from "../disk-faults.ts";
import { oneIn } from "../sample.ts";

const fixtures = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "fixtures", "models");
let checkpoint: Checkpoint;

beforeAll(async () => {
  checkpoint = await readCheckpoint(join(fixtures, "k3-compiled-sgd.keras"));
});

function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), "run-folder-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Puts a run in the folder, as the command does; what it leaves says which run it was. */
async function putRun(out: string, name: string, format: CheckpointFormat): Promise<void> {
  const folder = openRunFolder(out, { overwrite: true });
  const own: Checkpoint = { ...checkpoint, notes: { labels: [name] } };
  try {
    await folder.rehearse(own, { format });
    await folder.write(record(own, name, format));
  } catch (error) {
    folder.discard();
    throw error;
  }
}

function record(own: Checkpoint, name: string, format: CheckpointFormat): RunRecord {
  const bad = name === "earlier" ? [{ path: "x.jpg", reason: "the file is empty." }] : [];
  return {
    checkpoint: own,
    writing: { format },
    args: { name },
    history: [{ epoch: 1, phase: 1, loss: 1, lr: 1, seconds: 1 }],
    bestEpoch: 1,
    task: { outputs: [], warnings: [] },
    plan: {} as RunRecord["plan"],
    phases: [],
    proof: { unchanged: true, weights: [] },
    engine: name,
    threads: 1,
    precision: "float32",
    features: { samples: 3, extracted: 3, cached: 0, bytes: 9, seconds: 1 },
    unit: "images",
    bad,
    duplicates: [],
    warnings: [],
    measured: { extractionSeconds: 1, epochSeconds: 2, cacheBytes: 3, runSeconds: 5, peakBytes: 4 },
  };
}

const texts = ["args.json", "history.csv", "labels.json", "plan.json"];

/** The run that the folder holds: every file of it and none of another. */
async function runIn(out: string, formats: Readonly<Record<string, string>>): Promise<string> {
  const json = (name: string) => JSON.parse(readFileSync(join(out, name), "utf8"));
  const { notes } = await readCheckpoint(modelFileAt(out));
  const names = [notes.labels?.[0], json("labels.json")[0], json("args.json").name, json("plan.json").engine];
  expect(new Set(names).size).toBe(1);
  const [name] = names;
  const files = [...texts, formats[name]!, ...(name === "earlier" ? ["bad-images.csv"] : []), "mine.txt"];
  const visible = readdirSync(out).filter((file) => !file.startsWith("."));
  expect(visible.sort()).toEqual(files.sort());
  return name;
}

/** A folder with an earlier run and a file of the user's. */
async function earlierRun(): Promise<string> {
  const out = join(scratch(), "run");
  await putRun(out, "earlier", "keras");
  writeFileSync(join(out, "mine.txt"), "mine");
  return out;
}

describe.each(
  oneIn(3, [
    ["keras", "model.keras"],
    ["h5", "model.h5"],
    ["tfjs", "model_tfjs"],
  ] as const),
)("a run written as %s over an earlier one", (format, file) => {
  const formats = { earlier: "model.keras", later: file };

  test("leaves the earlier run or the later, whole, wherever it is killed, and the next leaves no rest of it", async () => {
    const found: string[] = [];
    const earlier = await earlierRun();
    const putAt = async (at: number) => {
      const out = join(scratch(), "run");
      cpSync(earlier, out, { recursive: true });
      const put = () => putRun(out, "later", format).catch(() => {});
      return { out, changes: await withDiskFault({ kind: "killed", at }, put) };
    };
    const { changes } = await putAt(Number.POSITIVE_INFINITY);
    const last = changes + 1;
    // The model's many writes are alike; behind them every change counts.
    for (let at = 1; at <= last; at += at < last - 40 ? 7 : 1) {
      const { out } = await putAt(at);
      found.push(await runIn(out, formats));
      openRunFolder(out, { overwrite: true }).discard();
      expect(readdirSync(out).filter((name) => name.startsWith("."))).toEqual([]);
      expect(await runIn(out, formats)).toBe(found.at(-1));
    }
    expect(found.length).toBeGreaterThan(40);
    expect(found).toEqual([...found].sort());
    expect(new Set(found)).toEqual(new Set(["earlier", "later"]));
  });

  test("leaves the earlier run and nothing else where the disk fills, at whichever byte, and says so", async () => {
    const out = await earlierRun();
    let failed = 0;
    for (let at = 1; ; at++) {
      let refusal: unknown;
      await withDiskFault({ kind: "full", at }, () =>
        putRun(out, "later", format).catch((error: unknown) => {
          refusal = error;
        }),
      );
      if (refusal === undefined) break;
      failed++;
      expect(refusal).toBeInstanceOf(MachineError);
      expect((refusal as Error).message).toMatch(/no space left/);
      expect((refusal as Error).message).not.toContain(".partial-");
      expect(await runIn(out, formats)).toBe("earlier");
      expect(readdirSync(out).filter((name) => name.startsWith("."))).toEqual([]);
    }
    expect(failed).toBeGreaterThan(20);
  });
});
