/** A disk that is full at fifty places of a run (two in the short command): a tmpfs where one may be mounted, else faults at chosen writes. */
import { spawnSync } from "node:child_process";
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import { MachineError } from "../../src/errors.ts";
import type { Callback } from "../../src/index.ts";
import { finetune, freezeUntil } from "../../src/index.ts";
import { withDiskFault } from "../disk-faults.ts";
import type { Results } from "./command.ts";
import {
  engine,
  isLong,
  kills,
  lastingScratch,
  photos,
  resultsIn,
  seed,
  smallModel,
  unfinishedIn,
} from "./command.ts";
import { keepFigure } from "./figures.ts";

const folder = lastingScratch();
const disk = join(folder, "disk");
const mounted = { size: 0 };
const places = isLong ? 50 : 2;
const command = `npm run test:faults -- --kills ${kills} --seed ${seed}`;

function mount(...options: readonly string[]): boolean {
  return spawnSync("mount", ["-t", "tmpfs", "-o", options.join(","), "tmpfs", disk]).status === 0;
}

const usedBytes = (): number => {
  const { blocks, bfree, bsize } = statfsSync(disk);
  return (blocks - bfree) * bsize;
};

async function trained(seedOfRun: number, ...callbacks: readonly Callback[]): Promise<void> {
  await finetune({
    callbacks,
    ...{ model: smallModel, data: photos, freeze: freezeUntil("conv3"), epochs: 2, seed: seedOfRun },
    ...{ cache: join(disk, "cache"), out: join(disk, "run"), overwrite: true },
  });
}

let undisturbed: Results;
let earlier: Results;
beforeAll(async () => {
  useEngine(engine === "native" ? "native" : "wasm");
  await ensureEngine();
  mkdirSync(disk);
  if (mount("size=64m")) mounted.size = 64 * 2 ** 20;
  await trained(0);
  earlier = await resultsIn(join(disk, "run"));
  cpSync(join(disk, "run"), join(folder, "earlier"), { recursive: true });
  rmSync(join(disk, "cache"), { recursive: true });
  await trained(7);
  undisturbed = await resultsIn(join(disk, "run"));
});
afterAll(() => {
  if (mounted.size > 0) spawnSync("umount", [disk]);
});

/** The disk as it was before: the earlier run, and no cache. */
function begin(): void {
  for (const name of ["run", "cache"]) rmSync(join(disk, name), { recursive: true, force: true });
  cpSync(join(folder, "earlier"), join(disk, "run"), { recursive: true });
}

/** Bytes that no run needs more of. */
const ample = 4_000_000;

/** Returns the bytes beside the earlier run with which a run just ends, to 8 kB. */
async function leastRoom(): Promise<number> {
  let [refused, ends] = [0, ample];
  while (ends - refused > 8192) {
    const middle = (refused + ends) / 2;
    begin();
    mount("remount", `size=${pages(usedBytes() + middle)}k`);
    const hasEnded = await trained(7).then(
      () => true,
      () => false,
    );
    if (hasEnded) ends = middle;
    else refused = middle;
    mount("remount", "size=64m");
  }
  return ends;
}

/** Returns the kilobytes of the pages that hold `bytes`. */
const pages = (bytes: number): number => Math.ceil(bytes / 4096) * 4;

test(`full at ${places} places: an error that says so or a run without features kept; what was there is whole, and the next run ends as any`, async () => {
  begin();
  const changes =
    mounted.size > 0
      ? 0
      : await withDiskFault({ kind: "full", at: Number.POSITIVE_INFINITY }, () => trained(7));
  // Half of the places are below what a run takes, and half where its features are written.
  const half = places / 2;
  const least = mounted.size > 0 && isLong ? await leastRoom() : ample / 2;
  const features = isLong ? 100_000 : ample;
  const roomAt = (place: number): number =>
    place < half ? (least * (place + 0.5)) / half : least + (features * (place - half + 0.5)) / half;
  let [refused, ended] = [0, 0];
  for (let place = 0; place < places; place++) {
    begin();
    let refusal: unknown;
    const run = (): Promise<void> =>
      trained(7).catch((error: unknown) => {
        refusal = error;
      });
    if (mounted.size > 0) {
      mount("remount", `size=${pages(usedBytes() + roomAt(place))}k`);
      await run();
    } else {
      await withDiskFault({ kind: "full", at: 1 + Math.floor(((place + 0.5) / places) * changes) }, run);
    }
    if (refusal === undefined) {
      ended++;
      expect(await resultsIn(join(disk, "run"))).toEqual(undisturbed);
    } else {
      refused++;
      expect(refusal).toBeInstanceOf(MachineError);
      expect((refusal as Error).message).toMatch(/no space left/);
      expect(await resultsIn(join(disk, "run"))).toEqual(earlier);
      expect(JSON.parse(readFileSync(join(disk, "run", "args.json"), "utf8")).seed).toBe(0);
    }
    expect(unfinishedIn(join(disk, "run"))).toEqual([]);
    if (mounted.size > 0) mount("remount", "size=64m");
    await trained(7);
    expect(await resultsIn(join(disk, "run"))).toEqual(undisturbed);
  }
  expect(Math.min(refused, ended)).toBeGreaterThan(0);
  const how = mounted.size > 0 ? "a tmpfs" : "injected faults, as no tmpfs may be mounted";
  keepFigure(
    "a full disk",
    command,
    `${places} places (${how}): ${refused} refused by name, ${ended} ended; ${places} of ${places} next runs equal`,
  );
});

test("that others fill while the run trains: its place is kept, and it ends with its results", async ({
  skip,
}) => {
  if (mounted.size === 0) skip("no tmpfs may be mounted");
  begin();
  const filler = join(disk, "filler");
  const fill = {
    name: "fill",
    epochEnd: ({ epoch }: { epoch: number }) => {
      if (epoch === 1) fillDisk(filler);
    },
  };
  await trained(7, fill);
  expect(existsSync(filler)).toBe(true);
  expect(await resultsIn(join(disk, "run"))).toEqual(undisturbed);
  rmSync(filler);
  keepFigure("a disk that others fill during the training", command, "the run ends with the same results");
});

/** Writes a file until the disk has no room. */
function fillDisk(path: string): void {
  const file = openSync(path, "w");
  for (let bytes = 1 << 20; bytes >= 1; ) {
    try {
      writeSync(file, Buffer.alloc(bytes));
    } catch {
      bytes >>= 1;
    }
  }
  closeSync(file);
}
