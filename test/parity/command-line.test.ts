/** Each kind of task from data on disk through the command line, to a file that Keras evaluates, as it is compiled, to the same figures. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { MetricValue } from "../../src/task/metrics/metric.ts";
import { runCli } from "../cli/run-cli.ts";
import type { Keras, KerasRelease } from "./keras.ts";
import { startKeras } from "./keras.ts";
import { measured } from "./measured.ts";

type Figures = Readonly<Record<string, MetricValue>>;

const kinds = [
  ...["single-label", "single-label-new-head", "logits", "masks", "masks-binary", "masks-new-head"],
  ...["multi-label", "multi-label-new-head", "one-value", "many-values", "weighted", "several"],
];

const releases: readonly (readonly [KerasRelease, "keras" | "h5", readonly string[]])[] = [
  ["current", "keras", kinds],
  ["keras2", "h5", ["single-label", "masks-new-head", "weighted", "several"]],
];

describe.each(releases)("for Keras %s, in .%s", (release, format, own) => {
  let keras: Keras;
  beforeAll(() => {
    keras = startKeras(release);
  });
  afterAll(() => keras.close());

  test.each(own)("%s", async (name) => {
    const folder = join(keras.folder, name);
    mkdirSync(folder);
    const { flags, evaluated } = await keras.ask<{ flags: string[]; evaluated: Figures | null }>(
      "command_line_case",
      { name, folder },
    );
    if (evaluated) expectSame(await evaluation(`model.${format}`, flags, folder), evaluated);
    const run = await runCli(
      [
        ...[
          "--model",
          `model.${format}`,
          ...flags,
          "--val-fraction",
          "0",
          "--epochs",
          "2",
          "--batch-size",
          "5",
        ],
        ...(name === "masks" ? ["--freeze-until", "deep"] : []),
        ...["--format", format, "--out", "run", "--no-report"],
      ],
      { cwd: folder },
    );
    expect(run.code, run.stderr).toBe(0);
    const ours = await evaluation("run", flags, folder);
    const path = join(folder, "run", `model.${format}`);
    const theirs = await keras.ask<Figures>("command_line_result", { name, folder, path });
    expect(Object.keys(ours).sort()).toEqual(Object.keys(theirs).sort());
    expectSame(ours, theirs);
  });
});

async function evaluation(model: string, flags: readonly string[], cwd: string): Promise<Figures> {
  const { code, stdout, stderr } = await runCli(["evaluate", model, ...flags, "--json"], { cwd });
  expect(code, stderr).toBe(0);
  const { loss, metrics } = JSON.parse(stdout) as { loss: number; metrics: Figures };
  return { loss, ...metrics };
}

function expectSame(got: Figures, expected: Figures): void {
  for (const [name, value] of Object.entries(expected)) {
    const [wanted, found] = [[value].flat(), [got[name] ?? []].flat()];
    expect(found, name).toHaveLength(wanted.length);
    for (const [index, each] of wanted.entries()) {
      const apart = Math.abs(each - (found[index] ?? Number.NaN)) / Math.max(1, Math.abs(each));
      measured("command line", apart);
      expect(apart, `${name}: ${found[index]} for ${each}`).toBeLessThan(2e-5);
    }
  }
}
