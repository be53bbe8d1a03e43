/** Faults of the machine around a run: homes that cannot be written, caches of other users, clocks that jump, others on the same folders. */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
} from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import type { Results, Surroundings } from "./command.ts";
import {
  done,
  engine,
  finetuneCommand,
  images,
  isLong,
  kills,
  lastingScratch,
  resultsIn,
  root,
  scratch,
  seed,
  training,
  trouble,
  unfinishedIn,
} from "./command.ts";
import { keepFigure } from "./figures.ts";

const command = `npm run test:faults -- --kills ${kills} --seed ${seed}`;
const folder = lastingScratch();
const filled = join(folder, "cache");
let undisturbed: Results;

beforeAll(async () => {
  const out = join(folder, "run");
  expect(trouble(await finetuneCommand(training(filled, "--out", out)))).toEqual(done);
  undisturbed = await resultsIn(out);
});

/** Runs to the end, with the results of a run that nothing disturbed; returns how many features came from the cache. */
async function endsTheSame(
  cache: string,
  around: Surroundings = {},
): Promise<{ readonly cached: number; readonly stderr: string }> {
  const place = scratch();
  chmodSync(place, 0o777);
  const out = join(place, "run");
  const ended = await finetuneCommand(training(cache, "--out", out, "--json"), around);
  expect(trouble(ended)).toEqual(done);
  expect(await resultsIn(out)).toEqual(undisturbed);
  expect(unfinishedIn(out)).toEqual([]);
  return { cached: JSON.parse(ended.stdout).features.cached, stderr: ended.stderr };
}

/** Runs a program as a user who owns nothing. */
const asNobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
const probe = spawnSync("setpriv", [
  ...asNobody.slice(1),
  process.execPath,
  "-e",
  `fs.accessSync(${JSON.stringify(join(root, "dist", "index.js"))})`,
]);
const canBeNobody = process.getuid?.() === 0 && probe.status === 0;
if (!canBeNobody)
  console.warn(
    "SKIPPED: other users' folders: only root may run the command as another user, who must be able to read it",
  );

describe.runIf(canBeNobody)("as a user who may not write there", () => {
  test("a home that is read-only: said once, and the run ends the same", async () => {
    // The native engine lies in its home, which is not this user's either.
    const own = engine === "native" ? process.env["KERAS_FINETUNE_HOME"] : undefined;
    const home = own ?? scratch();
    if (!own) chmodSync(home, 0o555);
    const before = readdirSync(home);
    const place = scratch();
    chmodSync(place, 0o777);
    const out = join(place, "run");
    const args = training("", "--out", out).filter(
      (word, index, all) => word !== "--cache" && all[index - 1] !== "--cache",
    );
    const env = { KERAS_FINETUNE_HOME: home, HOME: home };
    const ended = await finetuneCommand(args, { by: asNobody, env });
    expect(trouble(ended)).toEqual(done);
    expect(
      ended.stderr.match(
        /^warning: feature cache .*: permission denied\. Features are not kept\. Give another --cache/gm,
      ),
    ).toHaveLength(1);
    expect([await resultsIn(out), readdirSync(home)]).toEqual([undisturbed, before]);
    keepFigure("a read-only home", command, "said once; the run ends with the same results");
  });

  const modes = [
    ["that may be read", 0o755],
    ["that may not be read", 0o700],
  ] as const;
  test.each(isLong ? modes : modes.slice(0, 1))(
    "a cache of another user %s: the run ends the same, and the cache stays as it is",
    async (_how, mode) => {
      const cache = join(scratch(), "cache");
      cpSync(filled, cache, { recursive: true, preserveTimestamps: true });
      chmodSync(cache, mode);
      chmodSync(join(cache, ".."), 0o755);
      const before = contents(cache);
      const { stderr } = await endsTheSame(cache, { by: asNobody });
      expect(stderr.match(/^warning: feature cache .*: permission denied\./gm)).toHaveLength(1);
      expect(contents(cache)).toEqual(before);
      expect((await endsTheSame(cache)).cached).toBe(images);
      keepFigure(
        "another user's cache, to read or not",
        command,
        "said once, left as it is; every run ends with the same results, the owner's from the cache",
      );
    },
  );

  test.runIf(isLong)("a cache that another user has filled serves its owner too", async () => {
    const cache = join(scratch(), "cache");
    chmodSync(join(cache, ".."), 0o755);
    mkdirSync(cache);
    chownSync(cache, 65534, 65534);
    expect((await endsTheSame(cache, { by: asNobody })).cached).toBe(0);
    expect((await endsTheSame(cache)).cached).toBe(images);
  });
});

function contents(place: string): [string, string][] {
  const names = readdirSync(place, { recursive: true, encoding: "utf8" });
  const files = names.filter((name) => statSync(join(place, name)).isFile() && !name.includes("lease"));
  return files.map((name) => [name, readFileSync(join(place, name), "latin1")]);
}

describe("clocks that jump", () => {
  const clock = pathToFileURL(join(import.meta.dirname, "jumping-clock.mjs")).href;
  test("by days at every reading, while others use the cache: the run ends the same, and so does the next", async () => {
    const cache = join(scratch(), "cache");
    const env = { NODE_OPTIONS: `--import ${clock}` };
    const both = await Promise.all([endsTheSame(cache, { env }), endsTheSame(cache)]);
    expect(both).toHaveLength(2);
    for (const around of isLong ? [{ env }, {}] : [{ env }])
      expect((await endsTheSame(cache, around)).cached).toBe(images);
    keepFigure(
      "a clock that jumps by days at every reading",
      command,
      "every run ends with the same results, on one cache with runs of the right time",
    );
  });

  const hasFakeTime = spawnSync("faketime", ["-f", "-1d", "true"]).status === 0;
  if (!hasFakeTime) console.warn("SKIPPED: libfaketime: `faketime` is not installed");
  test.runIf(hasFakeTime && isLong)(
    "ten years back and ahead, for the whole process: features and runs serve those of the right time",
    async () => {
      const cache = join(scratch(), "cache");
      const env = { FAKETIME_DONT_FAKE_MONOTONIC: "1" };
      expect((await endsTheSame(cache, { by: ["faketime", "-f", "-3650d"], env })).cached).toBe(0);
      for (const by of [["faketime", "-f", "+3650d"], []])
        expect((await endsTheSame(cache, { by, env })).cached).toBe(images);
      keepFigure(
        "a clock ten years back, then ten ahead (libfaketime)",
        command,
        "3 of 3 runs end with the same results, the features of the first serve the others",
      );
    },
  );

  test.runIf(isLong)("files of the future in the cache: it serves, and is not evicted in use", async () => {
    const cache = join(scratch(), "cache");
    cpSync(filled, cache, { recursive: true });
    const later = new Date("2060-01-01");
    for (const name of readdirSync(cache, { recursive: true, encoding: "utf8" }))
      utimesSync(join(cache, name), later, later);
    expect((await endsTheSame(cache)).cached).toBe(images);
  });
});

describe("several processes", () => {
  test("on one run folder: one has it, the others are refused by name, and what is left is whole", async () => {
    const out = join(scratch(), "run");
    const all = await Promise.all([1, 2, 3].map(() => finetuneCommand(training(filled, "--out", out))));
    const ended = all.filter(({ code }) => code === 0);
    const refused = all.filter(({ code }) => code === 2 || code === 1);
    expect([ended.length >= 1, ended.length + refused.length]).toEqual([true, 3]);
    for (const each of refused) {
      expect(each.stderr).toMatch(/run: /);
      expect(each.stderr).not.toMatch(/^\s+at /m);
    }
    expect([await resultsIn(out), unfinishedIn(out)]).toEqual([undisturbed, []]);
    keepFigure(
      "three processes on one run folder",
      command,
      `${ended.length} ended, ${refused.length} refused by name; the folder is whole`,
    );
  });

  test.runIf(isLong)(
    "on one cache that is empty: each ends the same, and the next computes nothing",
    async () => {
      const cache = join(scratch(), "cache");
      await Promise.all([1, 2, 3].map(() => endsTheSame(cache)));
      expect((await endsTheSame(cache)).cached).toBe(images);
      keepFigure(
        "three processes on one empty cache",
        command,
        "3 of 3 end with the same results, a fourth computes nothing",
      );
    },
  );
});
