/** Faults of the files that a run reads: images that change under it, one in a hundred broken, weights that are no numbers. */
import {
  cpSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import { KerasFileError, MachineError } from "../../src/errors.ts";
import type { Checkpoint, FinetuneOptions, FinetuneResult } from "../../src/index.ts";
import {
  extractFeatures,
  finetune,
  freezeUntil,
  imageFolder,
  planFinetune,
  readCheckpoint,
  writeCheckpoint,
} from "../../src/index.ts";
import { randomGenerator } from "../../src/random.ts";
import { engine, isLong, kills, lastingScratch, photos, root, scratch, seed, smallModel } from "./command.ts";
import { keepFigure } from "./figures.ts";

const command = `npm run test:faults -- --kills ${kills} --seed ${seed}`;
const folder = lastingScratch();
beforeAll(async () => {
  useEngine(engine === "native" ? "native" : "wasm");
  await ensureEngine();
});

const results = ({ checkpoint, history }: FinetuneResult): unknown => [
  checkpoint.weights,
  history.map(({ seconds: _seconds, ...figures }) => figures),
];

describe("an image that changes under a running extraction", () => {
  const model = smallModel;
  test.each([
    ["before it is read", 1],
    ["after it is read", 44],
  ])(
    "%s: what is cached is of the bytes that were read, and the old image gives the old results",
    async (_when, at) => {
      const data = join(scratch(), "photos");
      cpSync(photos, data, { recursive: true });
      const samples = (await imageFolder(data)).samples.flatMap(({ path, split }) =>
        split === "train" ? [path] : [],
      );
      const asked: FinetuneOptions = {
        model,
        data,
        freeze: freezeUntil("conv3"),
        epochs: 1,
        report: false,
        strictData: true,
      };
      const undisturbed = await finetune({ ...asked, cache: false });
      // Another sample's bytes, at the time and with the name of the first.
      const [changed = "", other = ""] = [samples[40], samples[0]];
      const original = readFileSync(changed);
      const { atime, mtime } = statSync(changed);
      const put = (bytes: Uint8Array): void => {
        writeFileSync(changed, bytes);
        utimesSync(changed, atime, mtime);
      };
      const cache = join(scratch(), "cache");
      let isChanged = false;
      await finetune({
        ...asked,
        cache,
        onProgress: (event) => {
          if (event.kind !== "extract" || event.done < at || isChanged) return;
          isChanged = true;
          put(readFileSync(other));
        },
      });
      expect(isChanged).toBe(true);
      const withOther = await finetune({ ...asked, cache });
      expect(results(withOther)).toEqual(results(await finetune({ ...asked, cache: false })));
      put(original);
      expect(results(await finetune({ ...asked, cache }))).toEqual(results(undisturbed));
      keepFigure(
        "an image that changes under a running extraction",
        command,
        "what is cached is of the bytes that were read; 2 of 2 orders end with the results of the bytes at hand",
      );
    },
  );
});

describe("folders that go away under a run, as those on a network do", () => {
  const asked: FinetuneOptions = { model: smallModel, data: photos, freeze: freezeUntil("conv3"), epochs: 1 };
  /** Runs `action` once, when so many samples are extracted. */
  const during = (action: () => void): FinetuneOptions["onProgress"] => {
    let isDone = false;
    return (event) => {
      if (event.kind !== "extract" || event.done < 16 || isDone) return;
      isDone = true;
      action();
    };
  };

  test("the images: the run ends by name, and goes on once they are back", async () => {
    const place = scratch();
    const [data, away, cache] = [join(place, "photos"), join(place, "away"), join(place, "cache")];
    cpSync(photos, data, { recursive: true });
    const undisturbed = await finetune({ ...asked, data, cache: false });
    const onProgress = during(() => renameSync(data, away));
    const lost = finetune({ ...asked, data, cache, onProgress });
    await expect(lost).rejects.toThrow(MachineError);
    await expect(lost).rejects.toThrow(/^\S+photos\S*: expected the folder that was listed, got none/);
    renameSync(away, data);
    const back = await finetune({ ...asked, data, cache });
    expect(results(back)).toEqual(results(undisturbed));
    expect(back.features.cached).toBeGreaterThan(0);
    keepFigure(
      "a folder of images that goes away under a run",
      command,
      "refused by name; the next run goes on from what was extracted and ends with the same results",
    );
  });

  test("the cache: a run ends with its results, and a shard says that nothing is kept", async () => {
    const cache = join(scratch(), "cache");
    const remove = (): void => rmSync(cache, { recursive: true, force: true });
    const undisturbed = await finetune({ ...asked, cache: false });
    expect(results(await finetune({ ...asked, cache, onProgress: during(remove) }))).toEqual(
      results(undisturbed),
    );
    remove();
    const checkpoint = await readCheckpoint(smallModel);
    const plan = planFinetune(checkpoint, { freeze: freezeUntil("conv3") });
    let isGone = false;
    const extraction = extractFeatures(checkpoint, plan, await imageFolder(photos), {
      cache,
      shard: { index: 0, count: 1 },
      onProgress: (done) => {
        if (done < 16 || isGone) return;
        isGone = true;
        remove();
      },
    });
    await expect(extraction).rejects.toThrow(/expected the folder of the features, got none: it was removed/);
    keepFigure(
      "a cache that is removed under a run",
      command,
      "the run ends with the same results; a shard is refused by name",
    );
  });
});

/** Returns the bytes of an uncompressed image of one color in each quarter. */
function bitmap(side: number, nextByte: () => number): Buffer {
  const rowBytes = Math.ceil((3 * side) / 4) * 4;
  const bytes = Buffer.alloc(54 + rowBytes * side);
  bytes.write("BM");
  bytes.writeUInt32LE(bytes.length, 2);
  bytes.writeUInt32LE(54, 10);
  for (const [at, value] of [
    [14, 40],
    [18, side],
    [22, side],
  ] as const)
    bytes.writeInt32LE(value, at);
  bytes.writeUInt16LE(1, 26);
  bytes.writeUInt16LE(24, 28);
  bytes.writeUInt32LE(rowBytes * side, 34);
  for (let at = 54; at < bytes.length; at++) bytes[at] = nextByte();
  return bytes;
}

const count = Number(process.env["IMAGES"] ?? (isLong ? 10_000 : 300));
test(`${count} images of which one in a hundred is broken: those are listed, the others trained on, and the next run reads none`, async () => {
  const data = join(folder, "many");
  const random = randomGenerator(seed);
  const broken = new Set<string>();
  const damages: readonly ((bytes: Buffer) => Buffer)[] = [
    (bytes) => bytes.subarray(0, 40),
    () => Buffer.alloc(0),
    (bytes) => Buffer.alloc(bytes.length),
    (bytes) => Buffer.concat([Buffer.from("GIF89a"), bytes.subarray(6)]),
  ];
  for (const name of ["a", "b"]) mkdirSync(join(data, name), { recursive: true });
  for (let index = 0; index < count; index++) {
    const shade = 40 + 130 * (index % 2);
    const whole = bitmap(8, () => shade + (random.nextInteger() % 40));
    const path = join(data, index % 2 === 0 ? "a" : "b", `${index}.bmp`);
    const isBroken = index % 100 === 7;
    if (isBroken) broken.add(basename(path));
    writeFileSync(
      path,
      isBroken ? (damages[Math.floor(index / 100) % damages.length]?.(whole) ?? whole) : whole,
    );
  }
  const cache = join(folder, "many-cache");
  const asked: FinetuneOptions = {
    model: smallModel,
    data,
    freeze: freezeUntil("head"),
    epochs: 1,
    batchSize: 64,
    cache,
    report: false,
  };
  const { freeze: _cut, ...headOnly } = asked;
  const first = await finetune(headOnly);
  expect(new Set(first.bad.map(({ path }) => basename(path)))).toEqual(broken);
  expect(first.features).toMatchObject({ samples: count - broken.size, extracted: count - broken.size });
  const started = performance.now();
  const second = await finetune(headOnly);
  const seconds = (performance.now() - started) / 1000;
  expect(second.features).toMatchObject({ extracted: 0, cached: count - broken.size });
  expect(results(second)).toEqual(results(first));
  expect(second.bad.map(told)).toEqual(first.bad.map(told));
  keepFigure(
    `${count.toLocaleString("en-US")} images, one in a hundred broken`,
    process.env["IMAGES"] ? `${command} --images ${count}` : command,
    `${broken.size} of ${broken.size} listed; the next run computes none and ends equal, in ${seconds.toFixed(1)} s`,
  );
  rmSync(data, { recursive: true });
});

/** Returns a broken file and what is wrong with it, without the decoder's details, which its threads write into one place. */
function told({ path, reason }: FinetuneResult["bad"][number]): string {
  return `${path}: ${reason.replace(/:.*/s, "")}`;
}

describe("a weight that is no number", () => {
  const formats = ["model.keras", "model.h5", "model.weights.h5", "model.weights.json", "tfjs", "preset"];
  let model: Checkpoint;
  let refusals = 0;
  beforeAll(async () => {
    model = await readCheckpoint(smallModel);
  });
  afterAll(() => {
    const figure = `${refusals} of ${formats.length} formats refused by file, layer and weight`;
    keepFigure("a weight that is no number", command, figure);
  });

  test.each(formats)(
    "in %s is refused before anything is computed, by file, layer and weight",
    async (name) => {
      const place = join(scratch(), name);
      const given =
        name === "preset" ? await readCheckpoint(join(root, "fixtures", "hub", "mobilenet.keras")) : model;
      if (!given) {
        console.warn(`SKIPPED: ${name}: no model of KerasHub among the fixtures`);
        return;
      }
      const [path = "", layer = []] = [...given.weights].find(([, own]) => own.length > 0) ?? [];
      const [first, ...others] = layer;
      if (!first) throw new Error("no weight");
      const data = Float32Array.from(first.data as Float32Array);
      data[1] = Number.NaN;
      await writeCheckpoint(place, {
        ...given,
        weights: new Map(given.weights).set(path, [{ ...first, data }, ...others]),
      });
      const arch = name.includes("weights") ? { arch: smallModel } : {};
      const refused = finetune({ model: place, ...arch, data: photos, epochs: 1, cache: false });
      await expect(refused).rejects.toThrow(KerasFileError);
      await expect(refused).rejects.toThrow(
        new RegExp(`${name}.*: ${path}/${first.name}: expected numbers, got NaN\\.`),
      );
      refusals++;
    },
  );
});
