/** Memory that runs out in a step, and `--memory`: what a process takes of what it may. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import { tf } from "../../src/engine/tf.ts";
import { MachineError } from "../../src/errors.ts";
import type { FinetuneOptions } from "../../src/index.ts";
import { finetune, freezeUntil, writeCheckpoint } from "../../src/index.ts";
import { wideNetwork } from "../run/wide-network.ts";
import {
  done,
  engine,
  finetuneCommand,
  isLong,
  kills,
  lastingScratch,
  photos,
  root,
  scratch,
  seed,
  smallModel,
  trouble,
} from "./command.ts";
import { keepFigure } from "./figures.ts";

const command = `npm run test:faults -- --kills ${kills} --seed ${seed}`;
const folder = lastingScratch();
const wide = join(folder, "wide.keras");
const run = (model: string, ...more: readonly string[]): string[] => [
  ...[
    "--model",
    model,
    "--data",
    photos,
    "--epochs=1",
    "--no-cache",
    "--no-report",
    "--optimizer",
    "SGD",
    ...more,
  ],
];
beforeAll(async () => {
  await writeCheckpoint(wide, wideNetwork({ side: 640, channels: 3, filters: 24, classes: 3 }));
});

describe("memory that runs out", () => {
  test.runIf(isLong)(
    "in a step of the engine: an error that names the layer and what to do, and --memory ends",
    async () => {
      const out = join(scratch(), "run");
      // On wasm the step is too large for what it can address; TensorFlow is given less than the step takes.
      const limited = { by: ["sh", "-c", 'ulimit -d 3500000 && exec "$@"', "sh"] };
      const args = run(wide, "--freeze", "none", "--out", out);
      // A small allocation of TensorFlow's own that finds no room ends the process: then another one is looked for.
      let failed = await finetuneCommand(args, engine === "native" ? limited : {});
      for (let attempt = 0; attempt < 3 && failed.signal === "SIGABRT"; attempt++)
        failed = await finetuneCommand([...args, "--overwrite"], limited);
      expect([failed.code, failed.signal]).toEqual([1, null]);
      expect(failed.stderr).not.toMatch(/^\s+at /m);
      expect(failed.stderr).toMatch(
        /^\w+: memory: expected room for .*, got none\. Lower --batch-size, or give --memory, which chooses it/m,
      );
      const ended = await finetuneCommand(
        [...args, "--memory", "2GB", "--overwrite"],
        engine === "native" ? limited : {},
      );
      expect(trouble(ended)).toEqual(done);
      keepFigure(
        "memory that runs out in a step",
        command,
        "an error that names the layer and the way out; with `--memory 2GB` the run ends",
      );
    },
  );

  test.runIf(engine !== "native")(
    "after an epoch: the epoch is kept, and the run goes on to the bits of one that had room",
    async () => {
      useEngine("wasm");
      await ensureEngine();
      const asked: FinetuneOptions = {
        model: smallModel,
        data: photos,
        freeze: freezeUntil("conv3"),
        epochs: 2,
        cache: join(folder, "cache"),
      };
      const whole = await finetune({ ...asked, report: false });
      const out = join(scratch(), "run");
      const backend = tf.backend() as unknown as {
        wasm: { _malloc(bytes: number): number; _free(at: number): void };
      };
      const held: number[] = [];
      const greedy = {
        name: "greedy",
        epochEnd: ({ epoch }: { epoch: number }) => {
          // All of the memory, down to blocks of 16 kB, which nobody writes to.
          for (let bytes = 1e9; epoch === 1 && bytes > 16e3; ) {
            try {
              held.push(backend.wasm._malloc(bytes));
            } catch {
              bytes = Math.floor(bytes / 2);
            }
          }
        },
      };
      const failed = await finetune({ ...asked, out, callbacks: [greedy] }).catch((error: unknown) => error);
      expect(held.length).toBeGreaterThan(3);
      for (const at of held) backend.wasm._free(at);
      expect(failed).toBeInstanceOf(MachineError);
      expect(failed).toMatchObject({ code: "out-of-memory" });
      expect(existsSync(join(out, "model.keras"))).toBe(true);
      expect(readFileSync(join(out, "history.csv"), "utf8").trim().split("\n")).toHaveLength(2);
      const resumed = await finetune({ resume: out, callbacks: [{ name: "greedy" }] });
      expect(resumed.checkpoint.weights).toEqual(whole.checkpoint.weights);
      keepFigure(
        "memory that runs out after an epoch",
        command,
        "its model and state are kept, and `--resume` ends with the same bits",
      );
    },
  );
});

describe.runIf(isLong)("--memory", () => {
  const python = process.env["KERAS_PYTHON"];
  if (isLong && !python) console.warn("SKIPPED: ResNet50: KERAS_PYTHON names no Python with Keras");
  const networks: readonly (readonly [name: string, model: string, cut: readonly string[]])[] = [
    [
      "EfficientNet-Lite0 from block3",
      join(root, "fixtures", "demo", "efficientnet_lite0.keras"),
      ["--freeze-until", "block3"],
    ],
    ["a convolution over 640x640", wide, ["--freeze", "none"]],
    ...(python && engine === "native"
      ? [["ResNet50 from conv4", join(folder, "ResNet50.keras"), ["--freeze-until", "conv4"]] as const]
      : []),
  ];

  test.each(networks)("%s: the process takes less than it may", async (name, model, cut) => {
    if (name.startsWith("ResNet50")) {
      const env = { ...process.env, MODELS_FOLDER: folder };
      expect(
        spawnSync(String(python), ["bench/plan_models.py", folder, "ResNet50"], { cwd: root, env }).status,
      ).toBe(0);
    }
    const refused = await finetuneCommand(
      run(model, ...cut, "--memory", "1MB", "--out", join(scratch(), "run")),
    );
    const [, count, unit] = /^--memory: expected ([\d.]+) (MB|GB) or more/m.exec(refused.stderr) ?? [];
    expect([refused.code, unit]).toEqual([2, expect.any(String)]);
    const least = Number(count) * (unit === "GB" ? 1e9 : 1e6);
    for (const share of [1, 1.5]) {
      const memory = Math.round((share * least) / 1e6);
      const out = join(scratch(), "run");
      const ended = await finetuneCommand(
        run(model, ...cut, "--memory", `${memory}MB`, "--out", out, "--json"),
      );
      expect(trouble(ended)).toEqual(done);
      const { batchSize, accumulate } = JSON.parse(readFileSync(join(out, "args.json"), "utf8"));
      const taken = JSON.parse(ended.stdout).measured.peakBytes / 1e6;
      keepFigure(
        `\`--memory ${memory}MB\`, ${name}`,
        command,
        `${batchSize} a step x ${accumulate}; ${Math.round(taken)} MB at the peak`,
      );
      expect(taken).toBeLessThan(memory);
    }
  });
});
