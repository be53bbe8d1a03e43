import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { isMarkAlive, writeMark } from "../../../src/features/cache/process-mark.ts";
import { evictTrunk, leaseFolder, listTrunks } from "../../../src/features/cache/trunk-folder.ts";
import { newDirectory } from "./cache-folder.ts";

function trunk(): { directory: string; folder: string } {
  const directory = newDirectory();
  const folder = join(directory, "trunk");
  mkdirSync(folder);
  return { directory, folder };
}

/** This process's mark with some of it changed. */
async function markLike(path: string, changes: Record<string, unknown>): Promise<void> {
  await writeMark(path);
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, "utf8")), ...changes }));
}

/** The pid of a process that has ended. */
function endedPid(): number {
  return spawnSync(process.execPath, ["-e", ""]).pid;
}

describe("a mark", () => {
  test("is alive while its process runs, and dead when it has ended or never was", async () => {
    const path = join(newDirectory(), "use-1");
    expect(await isMarkAlive(path)).toBe(false);
    await writeMark(path);
    expect(await isMarkAlive(path)).toBe(true);
    await markLike(path, { pid: endedPid() });
    expect(await isMarkAlive(path)).toBe(false);
    writeFileSync(path, '{"machine":');
    expect(await isMarkAlive(path)).toBe(false);
  });

  test("is dead when its pid is another process's by now", async () => {
    const path = join(newDirectory(), "use-1");
    await markLike(path, { started: "1" });
    expect(await isMarkAlive(path)).toBe(false);
  });

  test("of another machine is alive as long as it is renewed", async () => {
    const path = join(newDirectory(), "use-1");
    await markLike(path, { machine: "elsewhere", pid: endedPid() });
    expect(await isMarkAlive(path)).toBe(true);
    const hourAgo = new Date(Date.now() - 3_600_000);
    utimesSync(path, hourAgo, hourAgo);
    expect(await isMarkAlive(path)).toBe(false);
  });
});

const noticeOf = (directory: string, folder: string) => join(directory, `.evicting-${basename(folder)}-1`);

describe("a lease", () => {
  test("keeps evictors away until it is released", async () => {
    const { directory, folder } = trunk();
    const lease = await leaseFolder(folder);
    expect(await evictTrunk(directory, folder)).toBe(false);
    expect(readdirSync(folder)).toHaveLength(1);
    await lease.release();
    expect(await evictTrunk(directory, folder)).toBe(true);
    expect(readdirSync(directory)).toEqual([]);
  });

  test("is not given while a living process evicts the folder", async () => {
    const { directory, folder } = trunk();
    const notice = noticeOf(directory, folder);
    await writeMark(notice);
    // A second evictor is faster and takes the folder away; what is made anew is still announced to the first.
    rmSync(folder, { recursive: true });
    let given = false;
    const leasing = leaseFolder(folder).then((lease) => {
      given = true;
      return lease;
    });
    await wait(150);
    expect(given).toBe(false);
    unlinkSync(notice);
    await (await leasing).release();
    expect(given).toBe(true);
  });

  test("does not wait for an evictor that was killed, and clears up after it", async () => {
    const { directory, folder } = trunk();
    const dead = endedPid();
    await markLike(noticeOf(directory, folder), { pid: dead });
    await markLike(join(folder, "use-1"), { pid: dead });
    const lease = await leaseFolder(folder);
    expect(readdirSync(folder)).toHaveLength(1);
    expect(readdirSync(directory)).toEqual([basename(folder)]);
    await lease.release();
    expect(await evictTrunk(directory, folder)).toBe(true);
  });

  test("makes the folder, and its use is what eviction's order goes by", async () => {
    const { directory, folder } = trunk();
    const newer = join(directory, "newer");
    await (await leaseFolder(newer)).release();
    await (await leaseFolder(folder)).release();
    const [long, longer] = [1, 2].map((hours) => new Date(Date.now() - hours * 3_600_000));
    utimesSync(folder, longer!, longer!);
    utimesSync(newer, long!, long!);
    expect((await listTrunks(directory)).map((use) => use.folder)).toEqual([folder, newer]);
    await (await leaseFolder(folder)).release();
    expect((await listTrunks(directory)).map((use) => use.folder)).toEqual([newer, folder]);
  });
});

test("evicting what is gone already is no error", async () => {
  const { directory, folder } = trunk();
  expect(await evictTrunk(directory, join(directory, "none"))).toBe(false);
  expect(existsSync(folder)).toBe(true);
});
