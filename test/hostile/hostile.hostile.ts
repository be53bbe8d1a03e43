/**
 * Damaged files of every format, each read in a process of its own that is watched: it ends in an error that names the file, or holds
 * what an independent reader finds in the same bytes; in ten seconds, and within four times the file and 300 MB.
 */
import { type ChildProcess, fork } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { encode } from "fast-png";
import { afterAll, describe, expect, test } from "vitest";
import type { Checkpoint } from "../../src/index.ts";
import { readCheckpoint, writeCheckpoint } from "../../src/index.ts";
import { keepRow } from "../faults/figures.ts";
import { type Kind, mutantOf } from "./mutations.ts";

const fixtures = join(import.meta.dirname, "..", "..", "fixtures");
const work = mkdtempSync(join(tmpdir(), "hostile-"));
const mutants = Number(process.env["MUTANTS"] ?? 500);
const seed = process.env["SEED"] ?? "1";
/** Seconds of the processor: on a machine that does other work, a read that had too little of it is begun again before it is judged. */
const secondsAllowed = 20;

interface Seed {
  readonly kind: Kind;
  /** The file that is damaged, below the fixtures. */
  readonly path: string;
  /** The folder that it needs around it, if it needs one. */
  readonly folder?: string;
  /** Makes the file, and what it needs around it, in a folder; `path` is then below that. */
  readonly make?: (place: string) => Promise<void> | void;
  /** What is read where that is not the file itself, below its folder. */
  readonly asked?: string;
  /** Format by which the file is damaged; that by which it is read by default. */
  readonly damagedAs?: Kind;
}

/**
 * Files of the fixtures that are refused undamaged too, need another file beside them, or whose weights are put together from others
 * when they are read, so that no other reader finds them.
 */
const refused = /\.weights\.h5$|k122-batch-norm-mode|k122-theano|k122-memory/;

/** Files from all over the fixtures, so that they differ in version and contents. */
function models(ending: string, kind: Kind, count: number): Seed[] {
  const all = readdirSync(join(fixtures, "models")).filter(
    (name) => name.endsWith(ending) && !refused.test(name),
  );
  const step = all.length / count;
  return Array.from({ length: count }, (_, index) => ({
    kind,
    path: join("models", all[Math.floor(index * step)] ?? ""),
  }));
}

const tfjs = readdirSync(join(fixtures, "tfjs"), { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith("model.json"))
  .slice(0, 2)
  .map((path) => join("tfjs", path));
const photo = readdirSync(join(fixtures, "demo", "photos", "val"), {
  recursive: true,
  encoding: "utf8",
}).find((path) => /\.(jpe?g|png)$/.test(path));

/** Tables of numbers, which are made here; so are folders that only a writer has. */
const rows = Array.from({ length: 40 }, (_, row) => `${row / 7},${row % 5},"class ${row % 3}",0.5`);
const tableText = ["a,b,label,w", ...rows].join("\n");
const linesText = Array.from({ length: 40 }, (_, row) =>
  JSON.stringify({ a: row / 7, b: row % 5, label: `class ${row % 3}`, w: 0.5 }),
).join("\n");

const seeds: readonly Seed[] = [
  ...models(".h5", "h5", 15),
  ...models(".keras", "keras", 15),
  ...tfjs.map((path): Seed => ({ kind: "json", path, folder: join(path, "..") })),
  ...tfjs.map((path): Seed => {
    const folder = join(path, "..");
    const shard = readdirSync(join(fixtures, folder)).find((name) => name.endsWith(".bin")) ?? "";
    return { kind: "weights", path: join(folder, shard), folder };
  }),
  { kind: "image", path: join("demo", "photos", "val", photo ?? "") },
  { kind: "csv", path: "table.csv", make: (place) => writeFileSync(join(place, "table.csv"), tableText) },
  {
    kind: "jsonl",
    path: "table.jsonl",
    make: (place) => writeFileSync(join(place, "table.jsonl"), linesText),
  },
  ...["mobilenet", "vit"].map((name): Seed => ({ kind: "keras", path: join("hub", `${name}.keras`) })),
  ...["config.json", "model.weights.h5"].map(
    (path): Seed => ({
      kind: "preset",
      path,
      asked: ".",
      damagedAs: path.endsWith(".json") ? "json" : "h5",
      make: async (place) => writeCheckpoint(place, await hubModel(), { format: "hub" }),
    }),
  ),
  {
    kind: "sharded",
    path: "small_resnet.weights.json",
    damagedAs: "json",
    make: (place) => cpSync(join(fixtures, "sharded"), place, { recursive: true }),
  },
  {
    kind: "onnx",
    path: "model.onnx",
    make: async (place) =>
      writeCheckpoint(
        join(place, "model.onnx"),
        await readCheckpoint(join(fixtures, "cli", "small_resnet.keras")),
      ),
  },
  {
    kind: "mask",
    path: join("masks", "0.png"),
    damagedAs: "image",
    make: (place) => {
      for (const folder of ["images", "masks"]) mkdirSync(join(place, folder));
      const mask = Uint8Array.from({ length: 16 * 12 }, (_, at) => Math.floor(at / 16) % 3);
      const pixels = Uint8Array.from({ length: 3 * 16 * 12 }, (_, at) => (at * 7) % 256);
      writeFileSync(
        join(place, "masks", "0.png"),
        encode({ width: 16, height: 12, data: mask, channels: 1 }),
      );
      writeFileSync(
        join(place, "images", "0.png"),
        encode({ width: 16, height: 12, data: pixels, channels: 3 }),
      );
    },
  },
];

const hubModel = (): Promise<Checkpoint> => readCheckpoint(join(fixtures, "hub", "mobilenet.keras"));

interface Answer {
  readonly ok: boolean;
  readonly weights?: readonly string[];
  readonly config?: string;
  readonly unconfirmed?: number;
  readonly error?: { readonly name: string; readonly message: string; readonly stack: string };
  /** Processor time. */
  readonly milliseconds: number;
  /** Bytes by which the peak of memory exceeds what the process held before. */
  readonly growth: number;
}

/** How a process ended that did not answer. */
interface Failure {
  readonly failure: string;
}

let child: ChildProcess | undefined;
afterAll(() => child?.kill());

async function reader(): Promise<ChildProcess> {
  if (child?.connected) return child;
  const started = fork(join(import.meta.dirname, "reader.mjs"), { stdio: "ignore", execArgv: [] });
  await new Promise((resolve) => started.once("message", resolve));
  child = started;
  return started;
}

async function read(kind: Kind, path: string, known?: readonly string[]): Promise<Answer | Failure> {
  const process = await reader();
  return new Promise((resolve) => {
    const end = (result: Answer | Failure): void => {
      clearTimeout(clock);
      process.removeAllListeners("message").removeAllListeners("exit");
      if ("failure" in result) {
        process.kill("SIGKILL");
        child = undefined;
      }
      resolve(result);
    };
    const clock = setTimeout(() => end({ failure: "no answer in ten minutes" }), 600_000);
    process.once("message", (answer) => end(answer as Answer));
    process.once("exit", (code, signal) => end({ failure: `ended with ${signal ?? code}` }));
    process.send({ kind, path, known });
  });
}

const errors = ["KerasFileError", "TopologyError", "DataError", "UsageError", "MachineError"];

/** Returns what is wrong with how a mutant was read; undefined if nothing is. */
function complaint(answer: Answer | Failure, file: string, bytes: number): string | undefined {
  if ("failure" in answer) return answer.failure;
  const { ok, error, milliseconds, growth, unconfirmed = 0 } = answer;
  if (milliseconds > secondsAllowed * 1000) return `took ${Math.round(milliseconds)} ms of the processor`;
  if (growth > 4 * bytes + 300e6) return `took ${Math.round(growth / 1e6)} MB for a file of ${bytes} bytes`;
  if (ok) return unconfirmed > 0 ? `${unconfirmed} weights that no other reader finds in it` : undefined;
  if (!error || !errors.includes(error.name)) return `an internal error: ${error?.stack}`;
  // A model's own error names its layer, which has no file once it is read.
  if (error.name !== "TopologyError" && !error.message.includes(file))
    return `a message without the file's name: ${error.message}`;
  return undefined;
}

afterAll(() => rmSync(work, { recursive: true, force: true }));

describe(`${mutants} damaged files, seed ${seed}`, () => {
  test.each(seeds)("$path: each is refused by name, or holds what is in it", async (given) => {
    const { kind, path, folder, make, damagedAs = kind } = given;
    const share = Math.ceil(mutants / seeds.length);
    const place = join(work, String(seeds.indexOf(given)));
    mkdirSync(place);
    if (folder !== undefined) cpSync(join(fixtures, folder), place, { recursive: true });
    await make?.(place);
    const file = join(place, make ? path : basename(path));
    const original = readFileSync(make ? file : join(fixtures, path));
    const asked = given.asked
      ? join(place, given.asked)
      : kind === "weights"
        ? join(place, "model.json")
        : file;
    writeFileSync(file, original);
    const whole = await read(kind, asked);
    // An .onnx is written here and never read.
    if ("failure" in whole || whole.ok === (kind === "onnx"))
      throw new Error(`${path}: the undamaged file: ${JSON.stringify(whole)}`);
    const complaints: string[] = [];
    let refused = 0;
    for (let index = 0; index < share; index++) {
      const { bytes, damage } = mutantOf(damagedAs, original, `${seed} ${path}`, index);
      writeFileSync(file, bytes);
      const answer = await read(kind, asked, whole.weights);
      const named = ["json", "weights", "preset", "sharded", "mask"].includes(kind)
        ? "FOLDER"
        : basename(path);
      const wrong = complaint(answer, named, Math.max(bytes.length, folder || make ? sizeOf(place) : 0));
      if (wrong !== undefined) complaints.push(`mutant ${index} (${damage}): ${wrong}`);
      if ("ok" in answer && !answer.ok) refused++;
    }
    console.info(
      `${path}: ${share} mutants, ${refused} refused, ${share - refused - complaints.length} read`,
    );
    total.refused += refused;
    total.failed += complaints.length;
    total.all += share;
    expect(complaints).toEqual([]);
  });

  afterAll(() => {
    const count = (value: number): string => value.toLocaleString("en-US");
    const { all, refused, failed } = total;
    const read = count(all - refused - failed);
    keepRow(
      "hostile",
      [seed, `${count(all)} of ${seeds.length} files`],
      [count(refused), read, count(failed)],
    );
  });
});

/** Mutants of all files so far. */
const total = { all: 0, refused: 0, failed: 0 };

function sizeOf(place: string): number {
  return readdirSync(place).reduce((sum, name) => sum + statSync(join(place, name)).size, 0);
}
