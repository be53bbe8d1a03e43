import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { isWhole, oneIn } from "../sample.ts";
import { fixture, photos, runCli, runFiles, scratch } from "./run-cli.ts";

const model = fixture("cli", "small_resnet.keras");
const training = (out: string): string[] => [
  ...["--model", model, "--data", photos({ brick: 3, grass: 3 }), "--epochs", "2", "--out", out],
];

describe("a reader that closes the pipe", () => {
  test("is no error", async () => {
    const { code, stderr } = await runCli(["inspect", model], { stdout: "closed" });
    expect([code, stderr]).toEqual([0, ""]);
  });

  test("does not end a run: its results are written all the same", async () => {
    const out = join(scratch(), "run");
    const { code, stderr } = await runCli(training(out), { stdout: "closed" });
    expect([code, stderr.match(/^\s+at /m)]).toEqual([0, null]);
    expect(
      readdirSync(out)
        .filter((name) => name !== "state")
        .sort(),
    ).toEqual(runFiles);
  });
});

describe("a full disk under stdout", () => {
  test.each(
    oneIn<[string, string[]]>(3, [
      ["text", ["inspect", model]],
      ["a document", ["inspect", model, "--json"]],
      ["help", ["--help"]],
    ]),
  )("is said in one line and exits with 1: %s", async (_what, args) => {
    const { code, stderr } = await runCli(args, { stdout: "full" });
    expect(code).toBe(1);
    expect(stderr.match(/standard output: cannot be written: ENOSPC/g)).toHaveLength(1);
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  test.runIf(isWhole)("loses the text of a run, not the run", async () => {
    const out = join(scratch(), "run");
    const { code, stderr } = await runCli(training(out), { stdout: "full" });
    expect(code).toBe(1);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(
      readdirSync(out)
        .filter((name) => name !== "state")
        .sort(),
    ).toEqual(runFiles);
  });
});
