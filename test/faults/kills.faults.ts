/**
 * Commands that are killed at moments drawn from the seed, and asked again: what is left is whole, and the end is that of a command
 * nobody stopped.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readCheckpoint } from "../../src/index.ts";
import { randomGenerator } from "../../src/random.ts";
import type { Ended } from "./command.ts";
import {
  done,
  finetuneCommand,
  images,
  kills,
  lastingScratch,
  resultsIn,
  scratch,
  seed,
  smallModel,
  training,
  trouble,
  unfinishedIn,
} from "./command.ts";
import { keepFigure } from "./figures.ts";

const folder = lastingScratch();
const filled = join(folder, "cache");
const earlier = join(folder, "earlier");

/** A command that is killed, and asked again. */
interface Victim {
  /** Share of the command's time in which it is killed. */
  readonly moments: readonly [from: number, to: number];
  readonly args: (place: string) => string[];
  /** What goes on with it; the same command by default. */
  readonly again?: (place: string) => readonly string[][];
  /** Prepares the place. */
  readonly before?: (place: string) => void;
  /** Looks at what the kill left. */
  readonly left?: (place: string) => Promise<void> | void;
  /** Everything that the command makes, which no kill changes. */
  readonly made: (place: string, last: Ended | null) => Promise<unknown>;
}

const many = [
  ...[
    "--phase",
    "head epochs=2 lr=1e-2",
    "--phase",
    "conv3 epochs=2 lr=1e-3",
    "--augment",
    "light,mixup=0.2",
  ],
  ...["--views", "2", "--batch-size", "8", "--schedule", "cosine", "--accumulate", "2", "--ema", "0.9"],
  ...["--optimizer", "Nadam", "--no-report"],
];
const data = training("").slice(0, 4);
const sweeping = ["--lr", "1e-2,1e-3", "--freeze-until", "conv3", "--epochs=2", "--batch-size=16"];

/** A run's visible files with their bytes, but for those of runs that have not ended. */
function filesOf(out: string): [name: string, bytes: string][] {
  const names = readdirSync(out).filter(
    (name) => !name.startsWith(".") && !/^(?:state|events\.jsonl)$/.test(name),
  );
  return names.map((name) => [name, readFileSync(join(out, name), "latin1")]);
}

const victims: Readonly<Record<string, Victim>> = {
  extract: {
    moments: [0, 1],
    args: (place) => [
      "extract",
      ...data,
      "--freeze-until",
      "conv3",
      "--cache",
      join(place, "cache"),
      "--json",
    ],
    made: async (place, last) => {
      const { samples, extracted, cached } = JSON.parse(last?.stdout ?? "{}");
      expect([samples, extracted + cached]).toEqual([images, images]);
      // What the cache holds is what a run without it computes.
      const out = join(place, "run");
      const run = await finetuneCommand(training(join(place, "cache"), "--out", out, "--json"));
      expect(trouble(run)).toEqual(done);
      expect(JSON.parse(run.stdout).features).toMatchObject({ extracted: 0, cached: images });
      return resultsIn(out);
    },
  },
  train: {
    moments: [0, 1],
    args: (place) => [...data, ...many, "--cache", filled, "--out", join(place, "run")],
    again: (place) => [["--resume", join(place, "run")], victims["train"]?.args(place) ?? []],
    made: async (place) => {
      expect(unfinishedIn(join(place, "run"))).toEqual([]);
      return resultsIn(join(place, "run"));
    },
  },
  write: {
    moments: [0.6, 1],
    before: (place) => cpSync(earlier, join(place, "run"), { recursive: true }),
    args: (place) => training(filled, "--out", join(place, "run"), "--overwrite", "--seed", "7"),
    left: async (place) => {
      // The earlier run or the later one: whole, and none of the other's files.
      const out = join(place, "run");
      const { seed: own } = JSON.parse(readFileSync(join(out, "args.json"), "utf8"));
      if (own === 0) expect(filesOf(out)).toEqual(filesOf(earlier));
      else expect(await resultsIn(out)).toEqual(undisturbed.get("write"));
    },
    made: async (place) => {
      const out = join(place, "run");
      expect([unfinishedIn(out), JSON.parse(readFileSync(join(out, "args.json"), "utf8")).seed]).toEqual([
        [],
        7,
      ]);
      return resultsIn(out);
    },
  },
  convert: {
    moments: [0.4, 1],
    args: (place) => ["convert", smallModel, join(place, "model.h5"), "--overwrite"],
    left: async (place) => {
      if (existsSync(join(place, "model.h5"))) await readCheckpoint(join(place, "model.h5"));
    },
    made: async (place) => {
      expect(readdirSync(place)).toEqual(["model.h5"]);
      return (await readCheckpoint(join(place, "model.h5"))).weights;
    },
  },
  sweep: {
    moments: [0, 1],
    args: (place) => [
      "sweep",
      ...data,
      ...sweeping,
      "--cache",
      filled,
      "--out",
      join(place, "sweep"),
      "--no-report",
    ],
    made: async (place) => {
      const out = join(place, "sweep");
      return [await resultsIn(join(out, "1")), await resultsIn(join(out, "2"))];
    },
  },
};

/** What each command makes that nobody stops, and how long it takes. */
const undisturbed = new Map<string, unknown>();
const seconds = new Map<string, number>();
const only = process.env["KILLED"];
const names = Object.keys(victims).filter((name) => only === undefined || name === only);
if (names.length === 0) throw new Error(`--of: expected ${Object.keys(victims).join(", ")}, got ${only}`);

async function undisturbedOnce(name: string): Promise<void> {
  const victim = victims[name];
  if (!victim || undisturbed.has(name)) return;
  const place = join(folder, name);
  mkdirSync(place);
  victim.before?.(place);
  const ended = await finetuneCommand(victim.args(place));
  expect(trouble(ended)).toEqual(done);
  seconds.set(name, ended.milliseconds / 1000);
  undisturbed.set(name, await victim.made(place, ended));
}

beforeAll(async () => {
  const first = await finetuneCommand(training(filled, "--out", earlier));
  expect(trouble(first)).toEqual(done);
});

let same = 0;
let unhurt = 0;
afterAll(() => {
  const late = unhurt > 0 ? `, ${unhurt} of them over before the kill` : "";
  const command = `npm run test:faults -- --kills ${kills} --seed ${seed}`;
  keepFigure(
    "`kill -9` of extract, train, write, convert, sweep",
    command,
    `${same} of ${kills} end with the undisturbed results${late}`,
  );
});

const random = randomGenerator(seed);
test.each(
  Array.from({ length: kills }, (_, index) => {
    const [share, later] = [random.nextFloat(), random.nextFloat()];
    return [index + 1, names[index % names.length] ?? "train", share, later] as const;
  }),
)(
  "kill %i, of %s: what is left is whole, and the next ends as one that nobody stopped",
  async (index, name, share, later) => {
    await undisturbedOnce(name);
    const victim = victims[name];
    if (!victim) throw new Error(name);
    const [from, to] = victim.moments;
    const after = (part: number): number => 1000 * (seconds.get(name) ?? 1) * (from + (to - from) * part);
    let place = "";
    for (let attempt = 0; attempt < 5; attempt++) {
      place = scratch();
      victim.before?.(place);
      const killed = await finetuneCommand(victim.args(place), { killAfter: after(share) });
      if (killed.signal !== null) break;
      // The command was faster than before, and over: it is killed at the same share of that.
      seconds.set(name, Math.min(seconds.get(name) ?? 1, killed.milliseconds / 1000));
      if (attempt === 4) unhurt++;
    }
    await victim.left?.(place);
    const goOn = async (killAfter?: number): Promise<Ended> => {
      let last: Ended | undefined;
      for (const args of victim.again?.(place) ?? [victim.args(place)]) {
        last = await finetuneCommand(args, killAfter === undefined ? {} : { killAfter });
        // Exit code 2: there is nothing to go on from yet, so the command is asked anew.
        if (last.code !== 2) break;
      }
      return last as Ended;
    };
    // Every third is killed again on its way.
    if (index % 3 === 0) await goOn(after(later));
    const last = await goOn();
    expect(trouble(last)).toEqual(done);
    expect(await victim.made(place, last)).toEqual(undisturbed.get(name));
    same++;
  },
);
