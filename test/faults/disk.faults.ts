/** A disk that is full at fifty places of a run (two in the short command): a tmpfs where one may be mounted, else faults at chosen writes. */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import { MachineError } from "../../src/errors.ts";
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

function mount(...options: readonly string[]): boolean {
  return spawnSync("mount", ["-t", "tmpfs", "-o", options.join(","), "tmpfs", disk]).status === 0;
}

const usedBytes = (): number => {
  const { blocks, bfree, bsize } = statfsSync(disk);
  return (blocks - bfree) * bsize;
};

async function trained(seedOfRun: number): Promise<void> {
  await finetune({
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

test(`full at ${places} places: an error that says so or a run without features kept; what was there is whole, and the next run ends as any`, async () => {
  begin();
  const before = usedBytes();
  const changes =
    mounted.size > 0
      ? 0
      : await withDiskFault({ kind: "full", at: Number.POSITIVE_INFINITY }, () => trained(7));
  if (mounted.size > 0) await trained(7);
  // The peak is a little above what is left: both models are there for a moment.
  const most = 1.3 * (usedBytes() - before) + 400_000;
  let [refused, ended] = [0, 0];
  for (let place = 0; place < places; place++) {
    begin();
    const share = (place + 0.5) / places;
    let refusal: unknown;
    const run = (): Promise<void> =>
      trained(7).catch((error: unknown) => {
        refusal = error;
      });
    if (mounted.size > 0) {
      mount("remount", `size=${Math.ceil((usedBytes() + share * most) / 4096) * 4}k`);
      await run();
    } else {
      await withDiskFault({ kind: "full", at: 1 + Math.floor(share * changes) }, run);
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
  const how = mounted.size > 0 ? "a tmpfs" : "injected faults, as no tmpfs may be mounted";
  keepFigure(
    "a full disk",
    `npm run test:faults -- --kills ${kills} --seed ${seed}`,
    `${places} places (${how}): ${refused} refused by name, ${ended} ended; ${places} of ${places} next runs equal`,
  );
});
