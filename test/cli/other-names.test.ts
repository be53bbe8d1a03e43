import { describe, expect, test } from "vitest";
import { flagsOf } from "../../src/cli/command.ts";
import { commands } from "../../src/cli/commands.ts";
import { commandsElsewhere, flagElsewhere, flagsElsewhere } from "../../src/cli/other-names.ts";
import { trainCommand } from "../../src/cli/train.ts";
import * as api from "../../src/index.ts";
import { optionsElsewhere } from "../../src/run/other-names.ts";
import { runCli } from "./run-cli.ts";

const flags = commands.flatMap((command) => [...flagsOf(command)]);

describe("the names that other tools give", () => {
  test.each([
    ["flag", flagsElsewhere, flags.map(([name]) => name)],
    ["command", commandsElsewhere, commands.map(({ name }) => name)],
    ["option", optionsElsewhere, [...flags.map(([, { option }]) => option), ...Object.keys(api)]],
  ] as const)("each stands for one %s that there is", (_, table, own) => {
    expect(Object.keys(table).filter((name) => !own.includes(name))).toEqual([]);
    const others = Object.values(table).flatMap((text) => text.split(" "));
    expect(others.filter((name, index) => others.indexOf(name) !== index)).toEqual([]);
  });

  test("are answered in any spelling, by the flag that the command has", () => {
    const meant = (name: string): string | undefined => flagElsewhere(name, flagsOf(trainCommand));
    const spellings = [
      "learning_rate",
      "learningRate",
      "learning-rate",
      "bs",
      "unfreeze_from",
      "jobs",
      "height",
    ];
    expect(spellings.map(meant)).toEqual([
      ...["lr", "lr", "lr"],
      ...["batch-size", "freeze-until", "threads", undefined],
    ]);
  });

  test("the command line and the API name ours, and take nothing for granted", async () => {
    const said = async (...args: string[]): Promise<string> => (await runCli(args)).stderr.trim();
    expect(await said("--model", "m", "--data", "d", "--learning-rate", "1e-3")).toBe(
      "--learning-rate: unknown flag. Did you mean --lr?",
    );
    expect(await said("fit", "m")).toBe('"fit": unknown command. Did you mean train?');
    const guess = { model: "m", data: "d", lr: 1e-3 };
    await expect(api.finetune(guess)).rejects.toThrow("lr: unknown option. Did you mean learningRate?");
  });
});
