import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import type { FinetunePlan, ProgressEvent } from "../../src/index.ts";
import { finetune, freezeAllButHead, freezeUntil } from "../../src/index.ts";
import { epochsLeft } from "../../src/run/phases.ts";
import { prepareRun } from "../../src/run/prepare.ts";
import { resolveOptions } from "../../src/run/settings.ts";

const folder = mkdtempSync(join(tmpdir(), "planned-run-"));

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});
afterAll(() => rmSync(folder, { recursive: true }));

const model = "fixtures/cli/small_resnet.keras";
const phases = [
  { freeze: freezeAllButHead(), epochs: 2 },
  { freeze: freezeUntil("conv3"), epochs: 3 },
];

/** Returns a folder of two photographs of each of two classes to train on, and one to validate. */
function fewPhotos(): string {
  const place = join(folder, "photos");
  for (const name of ["brick", "grass"]) {
    for (const [index, split] of ["train", "train", "val"].entries()) {
      const file = join(name, `${name}-0${index}.jpg`);
      cpSync(join("fixtures", "demo", "photos", "train", file), join(place, split, file));
    }
  }
  return place;
}

describe("the epochs that are left", () => {
  const all = [{ epochs: 2 }, { epochs: 3 }];
  const counts = { phase: 2, epochs: 3, phaseEpochs: 1, iterations: 4, ended: null } as const;

  test("are all of a run that begins, and those after the state of one that goes on", () => {
    expect(epochsLeft(all, null)).toEqual([2, 3]);
    expect(epochsLeft(all, { ...counts, phase: 1, epochs: 1 })).toEqual([1, 3]);
    expect(epochsLeft(all, counts)).toEqual([0, 2]);
  });

  test("are none of a phase, or a run, that a callback has ended", () => {
    expect(epochsLeft(all, { ...counts, phase: 1, ended: "phase" })).toEqual([0, 3]);
    expect(epochsLeft(all, { ...counts, ended: "run" })).toEqual([0, 0]);
  });
});

test("the plan counts what a resumed run has left, and what the cache holds at the cut of each phase", async () => {
  const [out, cache, copy] = [join(folder, "run"), join(folder, "cache"), join(folder, "copy")];
  const options = { model, data: fewPhotos(), phases, batchSize: 2, cache, out } as const;
  const copying = {
    name: "copying",
    begin: () => {},
    epochEnd: ({ epoch }: { epoch: number }) => {
      // The state of the epoch before is on the disk then.
      if (epoch === 4) cpSync(out, copy, { recursive: true, filter: (path) => !path.includes(".partial-") });
    },
  };
  const first = await finetune({ ...options, callbacks: [copying] });
  expect(first.plan.cost).toMatchObject({ cachedSamples: 0, keptSamples: 6, run: { epochs: 5 } });

  const plans: [plan: FinetunePlan, lines: readonly string[]][] = [];
  await finetune({
    ...{ resume: copy, callbacks: [{ name: "copying" }] },
    onProgress: (event: ProgressEvent) => {
      if (event.kind === "plan") plans.push([event.plan, event.lines]);
    },
  });
  const [[plan, lines] = []] = plans;
  expect(plan?.cost?.run?.epochs).toBe(2);
  expect(lines?.find((line) => line.startsWith("time "))).toMatch(/^time {6}the 2 epochs left \d/);
  const trained = (plan?.cost?.run?.trainingSeconds ?? 0) / (plan?.cost?.epochSeconds ?? 1);
  expect(trained).toBeCloseTo(2, 6);

  const again = await prepareRun(resolveOptions({ ...options, out: join(folder, "other") }));
  expect(again.phases.map((phase) => phase.plan.cost)).toMatchObject([
    { cachedSamples: 6, keptSamples: 6, extractionSeconds: 0 },
    { cachedSamples: 6, keptSamples: 6, extractionSeconds: 0 },
  ]);
  const others = phases.toReversed();
  const turned = await prepareRun(resolveOptions({ ...options, phases: others, out: join(folder, "other") }));
  // What the first phase trains is what the second one freezes: nobody knows its features yet.
  expect(turned.phases.map((phase) => phase.plan.cost?.cachedSamples)).toEqual([6, 0]);
  expect(JSON.parse(readFileSync(join(out, "plan.json"), "utf8")).predicted.run.epochs).toBe(5);
});

test("what is timed passes over files that cannot be used, and leaves it to the run to name them", async () => {
  const place = join(folder, "broken");
  cpSync(fewPhotos(), place, { recursive: true });
  const prepared = (): Promise<unknown> =>
    prepareRun(resolveOptions({ model, data: place, freeze: freezeAllButHead(), epochs: 10_000 }));
  for (const name of ["0", "1", "2", "3"]) {
    mkdirSync(join(place, "train", "a"), { recursive: true });
    writeFileSync(join(place, "train", "a", `${name}.jpg`), "no image");
  }
  await expect(prepared()).resolves.toBeDefined();
  for (const file of ["brick/brick-00", "brick/brick-01", "grass/grass-00", "grass/grass-01"])
    writeFileSync(join(place, "train", `${file}.jpg`), "no image");
  await expect(prepared()).resolves.toBeDefined();
});
