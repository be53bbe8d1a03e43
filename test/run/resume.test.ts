import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import type { Callback, FinetuneOptions } from "../../src/index.ts";
import { arrayDataset, finetune, freezeAllButHead, freezeUntil } from "../../src/index.ts";
import { randomGenerator } from "../../src/random.ts";
import { float32Tensor } from "../../src/tensor.ts";
import { withDiskFault } from "../disk-faults.ts";

const folder = mkdtempSync(join(tmpdir(), "resume-"));
beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});
afterAll(() => rmSync(folder, { recursive: true }));

const [size, classes] = [32, 4];
function arrays(count: number, seed: number): ReturnType<typeof arrayDataset> {
  const random = randomGenerator(seed);
  const labels = Float32Array.from({ length: count }, (_, row) => row % classes);
  const pixels = Float32Array.from(
    { length: count * size * size * 3 },
    (_, index) => random.nextFloat() + labels[Math.floor(index / (size * size * 3))]! / 2,
  );
  return arrayDataset(float32Tensor(pixels, [count, size, size, 3]), float32Tensor(labels, [count]));
}
const held = arrays(8, 2);
const data = { ...arrays(12, 1), validation: { inputs: held.inputs, targets: held.targets } };
const model = "fixtures/cli/small_resnet.keras";
const asked: Partial<FinetuneOptions> = {
  ...{ batchSize: 5, cache: false, report: false, accumulate: 2, ema: 0.7, schedule: "cosine" },
  phases: [
    { freeze: freezeAllButHead(), epochs: 2, learningRate: 0.02 },
    { freeze: freezeUntil("conv3"), epochs: 2, learningRate: 0.003 },
  ],
};

const argumentsIn = (out: string): Record<string, unknown> => {
  const { resume, ...args } = JSON.parse(readFileSync(join(out, "args.json"), "utf8"));
  return args;
};
const filesIn = (out: string) =>
  readdirSync(out, { recursive: true }).map((name) => [name, statSync(join(out, String(name))).mtimeMs]);
/** A folder of a few photos of two classes. */
function fewPhotos(): string {
  const photos = join(folder, "photos");
  for (const name of existsSync(photos) ? [] : ["brick", "grass"]) {
    for (const [split, index] of [0, 1, 2, 3, 4].map((at) => [at < 4 ? "train" : "val", at] as const)) {
      const file = join(name, `${name}-0${index}.jpg`);
      cpSync(join("fixtures", "demo", "photos", "train", file), join(photos, split, file));
    }
  }
  return photos;
}

const timeless = (result: Awaited<ReturnType<typeof finetune>>) => ({
  weights: result.checkpoint.weights,
  best: result.bestEpoch,
  proofs: result.phases.map(({ from, to, proof }) => [from, to, proof]),
  history: result.history.map((epoch) => ({ ...epoch, seconds: 0 })),
});

/** Copies a run's folder after each of its epochs but the first, as the state before is on the disk then. */
function copier(out: string): { readonly copies: string[]; readonly callback: Callback } {
  const copies: string[] = [];
  const epochEnd = ({ epoch }: { epoch: number }): void => {
    const copy = `${out}-after-${epoch - 1}`;
    if (epoch > 1) cpSync(out, copy, { recursive: true, filter: (path) => !path.includes(".partial-") });
    if (epoch > 1) copies.push(copy);
  };
  return { copies, callback: { name: "copies", begin: () => {}, epochEnd } };
}
const idle: Callback = { name: "copies" };

test("a run goes on from any state to the same bits, through phases", async () => {
  const out = join(folder, "straight");
  const { copies, callback } = copier(out);
  const straight = await finetune({ model, data, out, ...asked, callbacks: [callback] });
  expect(copies).toHaveLength(3);
  expect(existsSync(join(out, "state", "training.state"))).toBe(true);
  for (const copy of copies) {
    const resumed = await finetune({ resume: copy, data, callbacks: [idle] });
    expect(timeless(resumed)).toEqual(timeless(straight));
    expect(readdirSync(copy)).toContain("model.keras");
    expect(argumentsIn(copy)).toEqual({ ...argumentsIn(out), out: copy, overwrite: true });
  }
});

test("a finished run is returned as it is, and nothing is written", async () => {
  const out = join(folder, "finished");
  const first = await finetune({ model, data, out, ...asked });
  const files = filesIn(out);
  const notes: string[] = [];
  const again = await finetune({
    resume: out,
    data,
    onProgress: (event) => void (event.kind === "note" && notes.push(event.message)),
  });
  expect(timeless(again)).toEqual(timeless(first));
  expect(again.files).toEqual([]);
  expect(filesIn(out)).toEqual(files);
  expect(notes.at(-1)).toBe(`finished  ${out} after epoch 4 of 4. Ask for more with epochs.`);
});

test("args.json is there before anything is extracted, and beside an earlier run's results it waits in state/", async () => {
  const out = join(folder, "early");
  const seen: string[][] = [];
  const watch: Partial<FinetuneOptions> = {
    onProgress: ({ kind }) => {
      if (kind === "extract") seen.push(readdirSync(out).filter((name) => !name.startsWith(".")));
    },
  };
  const photos = { model, data: fewPhotos(), out, epochs: 1, cache: false, report: false, ...watch } as const;
  await finetune(photos);
  expect(seen[0]).toEqual(["args.json", "events.jsonl"]);
  const earlier = readFileSync(join(out, "args.json"), "utf8");
  let waiting: unknown;
  await finetune({
    ...photos,
    ...{ overwrite: true, seed: 7 },
    callbacks: [
      {
        name: "look",
        begin: () => {
          expect(readFileSync(join(out, "args.json"), "utf8")).toBe(earlier);
          waiting = JSON.parse(readFileSync(join(out, "state", "args.json"), "utf8"));
        },
      },
    ],
  });
  expect(waiting).toMatchObject({ seed: 7 });
  expect(waiting).toMatchObject(argumentsIn(out));
  expect(readdirSync(join(out, "state"))).toEqual(["training.state"]);
});

describe("a run on photos goes on from any state to the same bits", () => {
  const everything: Partial<FinetuneOptions> = {
    ...{ accumulate: 2, ema: 0.8, schedule: "one-cycle", optimizer: "Nadam", clipNorm: 1, batchSize: 5 },
    phases: [
      { freeze: freezeAllButHead(), epochs: 1, learningRate: 0.02 },
      { freeze: freezeUntil("conv3"), epochs: 2, learningRate: 0.003, warmup: 2 },
    ],
  };
  test.each<readonly [string, Partial<FinetuneOptions>]>([
    ["with views, mixup, phases, accumulation, an average and a schedule", { augment: "light,mixup=0.2" }],
    ["with fresh views in each epoch and cutmix", { augment: "light,cutmix", views: 0 }],
  ])("%s", async (name, own) => {
    const out = join(folder, name.replaceAll(/\W+/g, "-"));
    const { copies, callback } = copier(out);
    const run = { model, data: fewPhotos(), cache: false, report: false, ...everything, ...own } as const;
    const straight = await finetune({ ...run, out, callbacks: [callback] });
    for (const copy of copies) {
      const resumed = await finetune({ resume: copy, callbacks: [idle] });
      expect(timeless(resumed)).toEqual(timeless(straight));
    }
  });

  test("after a signal, which leaves the best of the epochs that were complete", async () => {
    const run = { model, data: fewPhotos(), cache: false, report: false, ...everything } as const;
    const straight = await finetune(run);
    const out = join(folder, "aborted");
    const stop = new AbortController();
    const abort: Callback = {
      name: "abort",
      stepEnd: ({ epoch, step }) => void (epoch === 2 && step === 1 && stop.abort(new Error("Stop."))),
    };
    const aborted = finetune({ ...run, out, signal: stop.signal, callbacks: [abort] });
    await expect(aborted).rejects.toThrow("Stop.");
    expect(readdirSync(out)).toContain("model.keras");
    const resumed = await finetune({ resume: out, callbacks: [{ name: "abort" }] });
    expect(timeless(resumed)).toEqual(timeless(straight));
    expect(argumentsIn(out)["epochs"]).toBe(3);
  });

  test("after a disk that filled, at whichever change", async () => {
    const run = { model, data, ...asked, epochs: 4 } as const;
    const straight = await finetune(run);
    const ends = new Set<string>();
    for (const at of [1, 8, 60, 120, 180]) {
      const out = join(folder, `full-${at}`);
      let end = "finished";
      await withDiskFault({ kind: "full", at }, () =>
        finetune({ ...run, out }).catch(() => {
          end = existsSync(join(out, "args.json")) ? "resumable" : "nothing";
        }),
      );
      ends.add(end);
      if (end === "nothing") expect(existsSync(out)).toBe(false);
      if (end === "resumable")
        expect(timeless(await finetune({ resume: out, data }))).toEqual(timeless(straight));
    }
    expect([...ends]).toContain("resumable");
  });
});

test("the phases of a recipe stay as they were where more epochs are asked for", async () => {
  const out = join(folder, "recipe");
  const recipe = { recipe: "transfer", freeze: freezeUntil("conv3"), epochs: 3 } as const;
  const first = await finetune({ model, data, out, cache: false, report: false, ...recipe });
  expect(first.history.map(({ phase }) => phase)).toEqual([1, 2, 2]);
  const longer = await finetune({ resume: out, data, epochs: 6 });
  expect(longer.history.map(({ phase }) => phase)).toEqual([1, 2, 2, 2, 2, 2]);
  expect(longer.history.slice(0, 3)).toEqual(first.history);
  expect(await finetune({ resume: out, data }).then(({ history }) => history.length)).toBe(6);
});

test("callbacks of the caller's go on with their states, and are missed by name", async () => {
  const out = join(folder, "callbacks");
  const counter = (): { readonly seen: number[]; readonly callback: Callback } => {
    const seen: number[] = [];
    return {
      seen,
      callback: {
        name: "counter",
        epochEnd: ({ epoch }) => void seen.push(epoch),
        state: () => [...seen],
        restore: (state) => void seen.splice(0, Infinity, ...(state as number[])),
      },
    };
  };
  const [first, second] = [counter(), counter()];
  await finetune({ model, data, out, ...asked, callbacks: [first.callback] });
  await expect(finetune({ resume: out, data, epochs: 6 })).rejects.toThrow("callbacks: expected the value");
  await finetune({ resume: out, data, epochs: 6, callbacks: [second.callback] });
  expect(first.seen).toEqual([1, 2, 3, 4]);
  expect(second.seen).toEqual([1, 2, 3, 4, 5, 6]);
});

test("more epochs go on from a finished run, whose schedule keeps its last rate", async () => {
  const out = join(folder, "longer");
  const first = await finetune({ model, data, out, ...asked });
  const longer = await finetune({ resume: out, data, epochs: 6 });
  expect(longer.history.slice(0, 4)).toEqual(first.history);
  expect(longer.history.map(({ phase }) => phase)).toEqual([1, 1, 2, 2, 2, 2]);
  const last = first.history.at(-1)!.lr;
  expect(longer.history.slice(4).map(({ lr }) => lr)).toEqual([last, last]);
});

test("a run does not go on with other data, nor from a folder without a state", async () => {
  const out = join(folder, "other");
  await finetune({ model, data, out, ...asked });
  const other = { ...arrays(12, 9), validation: data.validation };
  await expect(finetune({ resume: out, data: other })).rejects.toThrow(
    "data: expected what the run began with",
  );
  await expect(finetune({ resume: out })).rejects.toThrow("data: expected the value that the run had");
  await expect(finetune({ resume: folder })).rejects.toThrow("resume: expected a run folder with a state");
  const args = readFileSync(join(out, "args.json"), "utf8");
  writeFileSync(join(out, "args.json"), args.replace(/"engine": "/g, "$&other "));
  await expect(finetune({ resume: out, data })).rejects.toThrow(/engine: expected .*\(other /);
});

test("no state is saved with saveEvery 0", async () => {
  const out = join(folder, "none");
  await finetune({ model, data, out, ...asked, saveEvery: 0 });
  expect(readdirSync(out)).not.toContain("state");
});
