import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Interrupted } from "../../src/cli/failure.ts";
import { createTerminal } from "../../src/cli/terminal.ts";
import { trainCommand } from "../../src/cli/train.ts";
import { readCheckpoint } from "../../src/index.ts";
import { oneIn } from "../sample.ts";
import { fixture, runCli, runFiles, scratch } from "./run-cli.ts";

const modelAndData = { model: fixture("cli", "small_resnet.keras"), data: fixture("demo", "photos") };
const endless = (out: string, ...more: string[]): string[] => [
  ...["--model", modelAndData.model, "--data", modelAndData.data, "--out", out],
  ...["--epochs", "100000", ...more],
];

/** Sends a signal each time one of the texts has appeared, in order. */
function afterTexts(
  ...texts: readonly string[]
): (written: string, send: (signal: NodeJS.Signals) => void) => void {
  let sent = 0;
  return (written, send) => {
    while (sent < texts.length && written.includes(texts[sent]!)) {
      sent++;
      send("SIGINT");
    }
  };
}

describe("Ctrl-C", () => {
  test("the first finishes the step, saves the best completed epoch, and exits with 130", async () => {
    const out = join(scratch(), "run");
    const result = await runCli(endless(out), { watch: afterTexts("epoch      2/") });
    expect([result.code, result.signal]).toEqual([130, null]);
    expect(result.stderr).toContain("Stopping after this step. Press Ctrl-C again to leave at once.");
    expect(result.stderr).not.toMatch(/^\s+at /m);
    expect(
      readdirSync(out)
        .filter((name) => name !== "state")
        .sort(),
    ).toEqual(runFiles);
    const epochs = readFileSync(join(out, "history.csv"), "utf8").trim().split("\n").length - 1;
    expect(epochs).toBeGreaterThanOrEqual(2);
    expect(result.stdout).toMatch(
      new RegExp(`^stopped +after epoch ${epochs}; epoch \\d+, the best, is saved in ${out}$`, "m"),
    );
    expect((await readCheckpoint(join(out, "model.keras"))).notes.labels).toEqual([
      "brick",
      "grass",
      "gravel",
    ]);
    expect(JSON.parse(readFileSync(join(out, "plan.json"), "utf8")).proof.unchanged).toBe(true);
  });

  test("before an epoch is complete nothing is left", async () => {
    const out = join(scratch(), "run");
    const result = await runCli(endless(out), { watch: afterTexts("frontier ") });
    expect([result.code, result.signal]).toEqual([130, null]);
    expect(existsSync(out)).toBe(false);
  });

  test.each(
    oneIn(2, [
      ["SIGTERM", 143],
      ["SIGHUP", 129],
    ] as const),
  )(
    "%s, as of a scheduler or a closed terminal, saves the best completed epoch too, and exits with %i",
    async (signal, code) => {
      const out = join(scratch(), "run");
      let sent = false;
      const result = await runCli(endless(out), {
        watch: (written, send) => {
          if (!sent && written.includes("epoch      1/")) send(signal);
          sent ||= written.includes("epoch      1/");
        },
      });
      expect([result.code, result.signal]).toEqual([code, null]);
      expect(readdirSync(out)).toContain("model.keras");
    },
  );

  test("a --dry-run prints no plan after it", async () => {
    const printed: string[] = [];
    const [print, notice] = [printed.push.bind(printed), printed.push.bind(printed)];
    const refused = trainCommand.run({
      values: { "dry-run": true },
      options: modelAndData,
      positionals: [],
      words: [],
      terminal: {
        ...createTerminal({ json: true, isTerminal: false, columns: new Int32Array(2) }),
        print,
        notice,
      },
      signal: AbortSignal.abort(new Interrupted("Stopped.")),
    });
    await expect(refused).rejects.toThrow(Interrupted);
    expect(printed).toEqual([]);
  });

  test("with --json stdout stays empty", async () => {
    const out = join(scratch(), "run");
    const result = await runCli(endless(out, "--json"), { watch: afterTexts("epoch      1/") });
    expect([result.code, result.stdout]).toEqual([130, ""]);
  });

  test("an earlier run is whole afterwards, and the second Ctrl-C leaves at once", async () => {
    const out = join(scratch(), "run");
    const first = await runCli([...endless(out).slice(0, -1), "1"]);
    expect(first.code).toBe(0);
    const result = await runCli(endless(out, "--overwrite"), {
      watch: afterTexts("frontier ", "Stopping after"),
    });
    expect(result.code === 130 || result.signal === "SIGINT").toBe(true);
    // The state and the events are those of the run that was stopped, as far as it came; the earlier events lie aside.
    const results = (names: readonly string[]) =>
      names.filter((name) => !["state", "events.jsonl", ".earlier-events"].includes(name)).sort();
    expect(results(readdirSync(out))).toEqual(results(runFiles));
    expect((await readCheckpoint(join(out, "model.keras"))).notes.labels).toEqual([
      "brick",
      "grass",
      "gravel",
    ]);
  });
});

describe("Ctrl-C while a step blocks the thread that it runs in", () => {
  /** One step over all samples of a model with nothing frozen, seconds long on every engine. */
  const blocking = (out: string): string[] => [
    ...["--model", fixture("demo", "efficientnet_lite0.keras"), "--data", modelAndData.data],
    ...["--freeze", "none", "--batch-size", "45", "--epochs", "1000", "--no-cache", "--out", out],
  ];
  const engine = process.env["KERAS_FINETUNE_ENGINE"] ?? "wasm";
  const home = process.env["KERAS_FINETUNE_HOME"];

  test(`the first is acknowledged at once, the second leaves within a second and without unfinished files, on ${engine}`, {
    // A machine that is busy with something else may take longer once, not three times.
    retry: 2,
  }, async () => {
    const out = join(scratch(), "run");
    const heard: Record<string, number> = {};
    const result = await runCli(blocking(out), {
      env: { KERAS_FINETUNE_ENGINE: engine, ...(home !== undefined && { KERAS_FINETUNE_HOME: home }) },
      watch: (written, send) => {
        if (written.includes("trainable params") && heard["planned"] === undefined) {
          heard["planned"] = performance.now();
          // The model has been read and the first step runs by then.
          setTimeout(() => {
            heard["first"] = performance.now();
            send("SIGINT");
          }, 5000);
        }
        if (written.includes("Stopping after this step.") && heard["answer"] === undefined) {
          heard["answer"] = performance.now();
          heard["second"] = performance.now();
          send("SIGINT");
        }
      },
    });
    const end = performance.now();
    expect(result.signal === "SIGINT" || result.code === 130).toBe(true);
    expect(heard["answer"]! - heard["first"]!).toBeLessThan(1000);
    expect(end - heard["second"]!).toBeLessThan(1000);
    expect(result.stderr.match(/Stopping/g)).toHaveLength(1);
    // What --resume goes on from is whole and stays, and what happened; nothing else does.
    expect(readdirSync(out).filter((name) => name !== "state")).toEqual(["args.json", "events.jsonl"]);
  });
});

describe("Ctrl-C at any moment", () => {
  const moments = oneIn(5, [60, 250, 400, 500, 600, 700, 800, 900, 1000, 1300]);
  /** What a signal before the program's first line gives, and what it gives later. */
  const interrupted = ({ code, signal }: { code: number | null; signal: string | null }): boolean =>
    code === 130 || signal === "SIGINT";

  test("of a convert leaves the whole new file or the earlier one, and nothing else", async () => {
    const stopped: boolean[] = [];
    for (const moment of moments) {
      const folder = join(scratch(), "out");
      mkdirSync(folder);
      const file = join(folder, "model.h5");
      writeFileSync(file, "an earlier file");
      const result = await runCli(["convert", modelAndData.model, file, "--overwrite"], {
        interruptAfter: moment,
      });
      stopped.push(interrupted(result));
      expect(readdirSync(folder)).toEqual(["model.h5"]);
      const earlier = readFileSync(file, "utf8") === "an earlier file";
      if (!earlier) expect((await readCheckpoint(file)).weights.size).toBeGreaterThan(0);
      expect(earlier || interrupted(result) || result.code === 0).toBe(true);
      if (result.code === 0) expect(earlier).toBe(false);
    }
    expect(stopped[0]).toBe(true);
  });

  test.each(oneIn(2, ["predict", "evaluate"]))(
    "of a %s ends it with 130 and prints no half of a result",
    async (name) => {
      const { model, data } = modelAndData;
      const stopped: boolean[] = [];
      for (const moment of moments) {
        const result = await runCli([name, model, data, "--json"], { interruptAfter: moment });
        stopped.push(interrupted(result));
        if (result.stdout !== "") expect(JSON.parse(result.stdout)).toBeTruthy();
        expect(result.stderr).not.toMatch(/^\s+at /m);
      }
      expect(stopped[0]).toBe(true);
    },
  );
});
