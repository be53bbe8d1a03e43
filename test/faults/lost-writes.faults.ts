/**
 * A file system that loses its last write: the newest files end early, end in zeros, are empty, or hold nothing but zeros, as after a
 * rename that reached the disk before the data. The next run ends with the results that it would have had.
 */
import { cpSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import { KerasFileError } from "../../src/errors.ts";
import type { FinetuneOptions, FinetuneResult } from "../../src/index.ts";
import { finetune, freezeUntil } from "../../src/index.ts";
import {
  engine,
  images,
  isLong,
  kills,
  lastingScratch,
  photos,
  scratch,
  seed,
  smallModel,
} from "./command.ts";
import { keepFigure } from "./figures.ts";

const folder = lastingScratch();
const filled = join(folder, "cache");
const stopped = join(folder, "stopped");
const asked: FinetuneOptions = {
  ...{ model: smallModel, data: photos, freeze: freezeUntil("conv3"), epochs: 2, report: false },
};
let undisturbed: FinetuneResult;

beforeAll(async () => {
  useEngine(engine === "native" ? "native" : "wasm");
  await ensureEngine();
  undisturbed = await finetune({ ...asked, cache: filled });
  // A run that was stopped after its first epoch, with the state that --resume goes on from.
  const stopping = new AbortController();
  const { signal } = stopping;
  const stop = {
    name: "stop",
    stepEnd: ({ epoch }: { epoch: number }) => void (epoch === 2 && stopping.abort(new Error("stop"))),
  };
  const options = { ...asked, cache: filled, out: stopped, signal, callbacks: [stop] };
  await expect(finetune(options)).rejects.toThrow("stop");
});

/** Ways in which the last write of a file is lost. */
const losses: Readonly<Record<string, (path: string) => void>> = {
  "ends 100 bytes early": (path) => truncateSync(path, Math.max(0, statSync(path).size - 100)),
  "ends in zeros": (path) => {
    const bytes = readFileSync(path);
    writeFileSync(path, bytes.fill(0, Math.max(0, bytes.length - 4096)));
  },
  "is empty": (path) => truncateSync(path, 0),
  "holds nothing but zeros": (path) => writeFileSync(path, Buffer.alloc(statSync(path).size)),
};

const results = ({ checkpoint, history }: FinetuneResult): unknown => [
  checkpoint.weights,
  history.map(({ seconds: _seconds, ...figures }) => figures),
];
let [damaged, equal] = [0, 0];
afterAll(() => {
  const command = `npm run test:faults -- --kills ${kills} --seed ${seed}`;
  keepFigure(
    "lost last writes of the cache and of a state",
    command,
    `${equal} of ${damaged} next runs equal`,
  );
});

/** Files of a folder, by their paths in it. */
const filesIn = (place: string): string[] =>
  readdirSync(place, { recursive: true, encoding: "utf8" }).filter((name) =>
    statSync(join(place, name)).isFile(),
  );

const tried = isLong ? Object.keys(losses) : ["ends in zeros", "is empty"];
describe.each(Object.entries(losses).filter(([how]) => tried.includes(how)))(
  "a file that %s",
  (_how, lose) => {
    test("in the cache: what is lost is computed again, and the run ends the same", async () => {
      for (const name of filesIn(filled)) {
        damaged++;
        const cache = join(scratch(), "cache");
        cpSync(filled, cache, { recursive: true, preserveTimestamps: true });
        lose(join(cache, name));
        const again = await finetune({ ...asked, cache });
        expect(results(again)).toEqual(results(undisturbed));
        expect(again.features.extracted + again.features.cached).toBe(images);
        const after = await finetune({ ...asked, cache });
        expect(after.features.cached).toBe(images);
        expect(results(after)).toEqual(results(undisturbed));
        equal++;
      }
    });

    test("of a stopped run: the state that is lost is told, and the run that goes on ends the same", async () => {
      for (const name of filesIn(stopped).filter((path) => /state|args/.test(path))) {
        damaged++;
        const out = join(scratch(), "run");
        cpSync(stopped, out, { recursive: true });
        const text = readFileSync(join(out, name), "latin1");
        lose(join(out, name));
        if (readFileSync(join(out, name), "latin1") === text) continue;
        const warned: string[] = [];
        const onProgress: FinetuneOptions["onProgress"] = (event) => {
          if (event.kind === "warning") warned.push(event.message);
        };
        const callbacks = [{ name: "stop" }];
        let resumed: FinetuneResult;
        if (name.includes("args")) {
          // Nobody knows what the run was: it says so, and is begun again.
          const refused = finetune({ resume: out, callbacks, onProgress });
          await expect(refused).rejects.toThrow(KerasFileError);
          await expect(refused).rejects.toThrow(/args\.json: .* Remove the file and start the run again\.$/);
          rmSync(join(out, name));
          resumed = await finetune({ ...asked, cache: filled, out, overwrite: true });
        } else {
          resumed = await finetune({ resume: out, callbacks, onProgress });
          expect(warned.join("\n")).toMatch(
            /training\.state: state: expected a whole .* The run begins anew\.$/m,
          );
        }
        expect(results(resumed)).toEqual(results(undisturbed));
        equal++;
      }
    });
  },
);
