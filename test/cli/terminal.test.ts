import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { painter } from "../../src/cli/paint.ts";
import type { RunningEpoch } from "../../src/cli/running-epoch.ts";
import { runningLine, sparkline } from "../../src/cli/running-epoch.ts";
import { epochLine } from "../../src/cli/train-text.ts";
import { fixture, photos, runCli, scratch } from "./run-cli.ts";

const plain = painter(false);
const running: RunningEpoch = {
  ...{ epoch: 3, epochs: 10, step: 45, steps: 120, loss: 0.4321, rate: 31.24, lastSeconds: 4 },
  course: [1, 0.9, 0.7, 0.6, 0.5, 0.45],
};

describe("the line of a running epoch", () => {
  test("has a sparkline, steps, rate, loss, and the time left of the epoch and the run", () => {
    expect(runningLine(running, 100, true, plain)).toBe(
      "epoch  3/10  █▇▄▃▂▁  45/120  31.2 steps/s  loss 0.4321  2.4s left  run 31s left",
    );
  });

  test("fits every width, and leaves out what is needed least", () => {
    for (let width = 10; width <= 100; width++) {
      expect(runningLine(running, width, true, plain).length).toBeLessThanOrEqual(width);
    }
    expect(runningLine(running, 52, true, plain)).toBe("epoch  3/10  █▇▄▃▂▁  45/120  loss 0.4321  2.4s left");
    expect(runningLine(running, 24, false, plain)).toBe("epoch  3/10  loss 0.4321");
  });

  test("tells the whole run by the rate in the first epoch, and slow steps by their seconds", () => {
    const first = { ...running, epoch: 1, epochs: 2, rate: 0.5, lastSeconds: null };
    expect(runningLine(first, 100, false, plain)).toBe(
      "epoch 1/2  45/120  2.0 s/step  loss 0.4321  2m30s left  run 6m30s left",
    );
  });

  test("colors the sparkline, which takes no columns", () => {
    const line = runningLine(running, 79, true, painter(true));
    expect(line).toContain("\u001b[36m█▇▄▃▂▁\u001b[39m");
  });

  test("a sparkline joins values where there are more of them than columns", () => {
    expect(sparkline([0, 0, 1, 1, 2, 2, 7, 7], 4)).toBe("▁▂▃█");
    expect(sparkline([3, 3, 3], 8)).toBe("▁▁▁");
  });
});

describe("the line of an epoch that is over", () => {
  const lineOf = (epochs: number, seconds: number, figures: Readonly<Record<string, number>>, width = 80) =>
    epochLine(
      {
        kind: "epoch",
        epoch: { epoch: 3, phase: 1, loss: 0.5, lr: 0.1, seconds, ...figures },
        epochs,
        best: true,
      },
      width,
    );
  const named = { accuracy: 0.8, val_loss: 0.4, val_accuracy: 0.9 };

  test("has the figures by their names where they fit", () => {
    expect(lineOf(5, 0.84, { mae: 0.8, val_loss: 0.4, val_mae: 0.9 })).toBe(
      "epoch 3/5  loss 0.5000  mae 0.8000  val_loss 0.4000  val_mae 0.9000  0.8s  best",
    );
    expect(lineOf(10, 0.84, named, 100)).toBe(
      "epoch  3/10  loss 0.5000  accuracy 0.8000  val_loss 0.4000  val_accuracy 0.9000  0.8s  best",
    );
  });

  test("fits 80 columns", () => {
    expect(lineOf(10, 0.84, named)).toBe(
      "epoch  3/10  loss 0.5000 val 0.4000  accuracy 0.8000 val 0.9000  0.8s  best",
    );
    const long = "sparse_top_k_categorical_accuracy";
    for (const figures of [named, { [long]: 0.8, val_loss: 0.4, [`val_${long}`]: 0.9 }, {}]) {
      for (const [epochs, seconds] of [
        [10, 0.8],
        [1000, 5000],
      ] as const) {
        expect(lineOf(epochs, seconds, figures).length).toBeLessThanOrEqual(80);
      }
    }
  });
});

const model = fixture("cli", "small_resnet.keras");
const training = (out: string): string[] => [
  ...["--model", model, "--data", photos({ brick: 3, grass: 3 }), "--epochs", "2", "--out", out],
];

test("--quiet prints the result alone", async () => {
  const out = join(scratch(), "run");
  const { code, stdout, stderr } = await runCli([...training(out), "--quiet", "--engine", "wasm"]);
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout).toMatch(/^result {4}accuracy \S+ on images it did not train on \(epoch \d of 2\), in .*\n$/);
});

/** `script` of util-linux gives a program a terminal. */
const hasScript = process.platform === "linux" && existsSync("/usr/bin/script");

/** Runs the command line on a terminal and returns what it shows. */
function onTerminal(args: readonly string[], env: Readonly<Record<string, string>>): Promise<string> {
  const words = [process.execPath, join(import.meta.dirname, "..", "..", "bin", "finetune.js"), ...args];
  const quoted = words.map((word) => `'${word}'`).join(" ");
  const { FORCE_COLOR: _color, NO_COLOR: _none, CI: _ci, ...inherited } = process.env;
  const child = spawn("script", ["-qefc", quoted, "/dev/null"], {
    env: {
      ...inherited,
      KERAS_FINETUNE_ENGINE: "wasm",
      LANG: "C.UTF-8",
      LC_ALL: "C.UTF-8",
      TERM: "xterm-256color",
      ...env,
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let shown = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    shown += text;
  });
  return new Promise((resolve) => child.on("close", () => resolve(shown)));
}

describe.runIf(hasScript)("on a terminal", () => {
  test("an epoch is one line that is drawn again, in color, and NO_COLOR takes the color away", async () => {
    const [colored, bare] = await Promise.all([
      onTerminal(training(join(scratch(), "run")), {}),
      onTerminal(training(join(scratch(), "run")), { NO_COLOR: "1" }),
    ]);
    const esc = "\u001b";
    for (const shown of [colored, bare]) {
      expect(shown).toContain(`\r${esc}[2Kepoch 1/2  `);
      const lines = shown.replaceAll(new RegExp(`${esc}\\[\\d*m`, "g"), "").split(/\r?\n|\r/);
      const epochs = lines.filter((line) => line.includes("epoch ") && line.includes("loss "));
      expect(epochs.length).toBeGreaterThan(3);
      for (const line of epochs) expect(line.replace(`${esc}[2K`, "").length).toBeLessThanOrEqual(80);
    }
    expect(colored).toMatch(new RegExp(`${esc}\\[36m[▁-█]+${esc}\\[39m`));
    expect(colored).toContain(`${esc}[1mresult`);
    expect(bare).toMatch(/[▁-█]/);
    expect(bare).not.toMatch(new RegExp(`${esc}\\[\\d*m`));
  });
});
