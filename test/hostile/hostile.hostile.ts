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
import { afterAll, describe, expect, test } from "vitest";
import { type Kind, mutantOf } from "./mutations.ts";

const fixtures = join(import.meta.dirname, "..", "..", "fixtures");
const work = mkdtempSync(join(tmpdir(), "hostile-"));
const mutants = Number(process.env["MUTANTS"] ?? 500);
const seed = process.env["SEED"] ?? "1";
const secondsAllowed = 10;

interface Seed {
  readonly kind: Kind;
  /** The file that is damaged, below the fixtures. */
  readonly path: string;
  /** The folder that it needs around it, if it needs one. */
  readonly folder?: string;
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
  { kind: "csv", path: "table.csv" },
];

/** A table of numbers; the other seeds are files of the fixtures. */
const rows = Array.from({ length: 40 }, (_, row) => `${row / 7},${row % 5},"class ${row % 3}",0.5`);
const bytesOf = ({ kind, path }: Seed): Buffer =>
  kind === "csv" ? Buffer.from(["a,b,label,w", ...rows].join("\n")) : readFileSync(join(fixtures, path));

interface Answer {
  readonly ok: boolean;
  readonly weights?: readonly string[];
  readonly config?: string;
  readonly unconfirmed?: number;
  readonly error?: { readonly name: string; readonly message: string; readonly stack: string };
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
    const clock = setTimeout(() => end({ failure: "no answer in 30 s" }), 30_000);
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
  if (milliseconds > secondsAllowed * 1000) return `took ${Math.round(milliseconds)} ms`;
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
    const { kind, path, folder } = given;
    const share = Math.ceil(mutants / seeds.length);
    const original = bytesOf(given);
    const place = join(work, String(seeds.indexOf(given)));
    mkdirSync(place);
    if (folder !== undefined) cpSync(join(fixtures, folder), place, { recursive: true });
    const file = join(place, basename(path));
    const asked = kind === "weights" ? join(place, "model.json") : file;
    writeFileSync(file, original);
    const whole = await read(kind, asked);
    if ("failure" in whole || !whole.ok)
      throw new Error(`${path}: the undamaged file: ${JSON.stringify(whole)}`);
    const complaints: string[] = [];
    let refused = 0;
    for (let index = 0; index < share; index++) {
      const { bytes, damage } = mutantOf(kind, original, `${seed} ${path}`, index);
      const file = join(place, basename(path));
      writeFileSync(file, bytes);
      const asked = kind === "weights" ? join(place, "model.json") : file;
      const answer = await read(kind, asked, whole.weights);
      const named = kind === "json" || kind === "weights" ? "FOLDER" : basename(path);
      const wrong = complaint(answer, named, Math.max(bytes.length, folder ? sizeOf(place) : 0));
      if (wrong !== undefined) complaints.push(`mutant ${index} (${damage}): ${wrong}`);
      if ("ok" in answer && !answer.ok) refused++;
    }
    console.info(
      `${path}: ${share} mutants, ${refused} refused, ${share - refused - complaints.length} read`,
    );
    expect(complaints).toEqual([]);
  });
});

function sizeOf(place: string): number {
  return readdirSync(place).reduce((sum, name) => sum + statSync(join(place, name)).size, 0);
}
