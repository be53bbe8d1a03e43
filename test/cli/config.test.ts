import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Call } from "../../src/cli/command-line.ts";
import { readCommandLine } from "../../src/cli/command-line.ts";
import { commands } from "../../src/cli/commands.ts";
import { UsageError } from "../../src/index.ts";
import { scratch } from "./run-cli.ts";

function call(...tokens: readonly string[]): Call {
  const request = readCommandLine(commands, tokens, "0.0.0");
  if (request.kind === "call") return request.call;
  throw new Error(`${tokens.join(" ")} calls no command`);
}

function file(name: string, text: string): string {
  const path = join(scratch(), name);
  writeFileSync(path, text);
  return path;
}

function refusal(...tokens: readonly string[]): string {
  try {
    call(...tokens);
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return (error as Error).message;
  }
  throw new Error(`${tokens.join(" ")} was taken`);
}

describe("--config", () => {
  const yaml = [
    "model: resnet50.h5",
    "data: photos",
    "epochs: 3",
    "lr: 1e-4",
    "image-size: [96, 128]",
    "cache-max: 5GB",
    "class-weight: { cat: 2, dog: 0.5 }",
    "freeze-until: conv4",
    "unfreeze: [bn1, bn2]",
    "overwrite: true",
    "keep-head: false",
  ].join("\n");

  test("takes flags by name, their values as YAML writes them", () => {
    const { values, options } = call("--config", file("run.yaml", yaml));
    expect(options).toEqual({
      model: "resnet50.h5",
      data: "photos",
      epochs: 3,
      learningRate: 1e-4,
      imageSize: [96, 128],
      cacheMax: 5e9,
      classWeight: { cat: 2, dog: 0.5 },
      overwrite: true,
    });
    expect(values).toMatchObject({ "freeze-until": "conv4", unfreeze: ["bn1", "bn2"] });
  });

  test("takes JSON", () => {
    const path = file("run.json", '{"model": "m.h5", "epochs": 2, "freeze-depth": -3, "no-cache": true}');
    const { values, options } = call("--config", path);
    expect(options).toEqual({ model: "m.h5", epochs: 2, cache: false });
    expect(values).toMatchObject({ "freeze-depth": "-3" });
  });

  test("gives way to flags, also to another flag that sets the same", () => {
    const path = file("run.yaml", `${yaml}\nno-cache: true`);
    const flags = ["--epochs", "5", "--freeze-all-but-head", "--cache", "kept"];
    for (const tokens of [
      ["--config", path, ...flags],
      [...flags, `--config=${path}`],
    ]) {
      const { values, options } = call("train", ...tokens);
      expect(options).toMatchObject({ epochs: 5, cache: "kept", learningRate: 1e-4 });
      expect(values).toMatchObject({ "freeze-all-but-head": true });
      expect(values).not.toHaveProperty("freeze-until");
    }
  });

  test("works for other commands with the flags that they have", () => {
    const path = file("plan.yaml", "freeze-until: conv4\nclasses: 3");
    expect(call("plan", "m.h5", "--config", path).values).toEqual({ "freeze-until": "conv4", classes: 3 });
    expect(refusal("inspect", "m.h5", "--config", path)).toMatch(/plan\.yaml: freeze-until: unknown flag\./);
  });

  test("refuses what is no flag, a wrong value, and a file that is none", () => {
    const path = (text: string) => file("run.yaml", text);
    expect(refusal("--config", path("epoch: 3"))).toMatch(
      /run\.yaml: epoch: unknown flag\. Did you mean epochs\?$/,
    );
    expect(refusal("--config", path("epochs: -1"))).toBe(
      "--epochs: expected a whole number of 1 or more, got -1.",
    );
    expect(refusal("--config", path("epochs: [1, 2]"))).toMatch(/^--epochs: expected a whole number/);
    expect(refusal("--config", path("overwrite: maybe"))).toMatch(/^--overwrite: expected true or false/);
    expect(refusal("--config", path("- epochs"))).toMatch(
      /run\.yaml: expected flags by name, .*got a list\.$/,
    );
    expect(refusal("--config", path("a: b: c"))).toMatch(/run\.yaml: expected JSON or YAML, got /);
    expect(refusal("--config", join(scratch(), "none.yaml"))).toMatch(
      /none\.yaml: expected a config file in JSON or YAML, got no such file\.$/,
    );
    expect(refusal("--config")).toBe("--config: expected a value, got none. Write --config FILE.");
    expect(refusal("--confg", "x")).toMatch(/^--confg: unknown flag\. Did you mean --config\?$/);
  });
});

describe("a command", () => {
  test("is train where none is named", () => {
    expect(call("--model", "m").command.name).toBe("train");
    expect(call("train", "--model", "m").command.name).toBe("train");
    expect(call("--epochs", "3", "--model", "plan").options).toEqual({ epochs: 3, model: "plan" });
  });

  test("takes its model as an argument or as a flag", () => {
    expect(call("plan", "m.h5").positionals).toEqual(["m.h5"]);
    expect(call("plan", "--model", "m.h5").positionals).toEqual(["m.h5"]);
    expect(call("predict", "--model=m.h5", "a.jpg", "b.jpg").positionals).toEqual(["m.h5", "a.jpg", "b.jpg"]);
    expect(refusal("inspect", "a.h5", "--model", "b.h5")).toMatch(/^"a\.h5": expected no further argument/);
    expect(call("predict", "m.h5", "--", "-a.jpg").positionals).toEqual(["m.h5", "-a.jpg"]);
  });

  test("has its help by --help, -h and help", () => {
    for (const tokens of [
      ["plan", "--help"],
      ["plan", "-h"],
      ["help", "plan"],
      ["plan", "m.h5", "--bogus", "--help"],
    ]) {
      expect(readCommandLine(commands, tokens, "0")).toMatchObject({
        kind: "help",
        command: { name: "plan" },
      });
    }
    for (const tokens of [["--help"], ["-h"], ["help"]]) {
      expect(readCommandLine(commands, tokens, "0")).toEqual({ kind: "help", command: undefined });
    }
    expect(refusal("help", "plam")).toBe('"plam": unknown command. Did you mean plan?');
  });

  test("is completed by a shell, and its flags and their values too", () => {
    const completed = (...words: string[]) => {
      const request = readCommandLine(commands, ["--get-yargs-completions", "finetune", ...words], "0");
      return request.kind === "text" ? request.text.split("\n") : [];
    };
    expect(completed("pl")).toContain("plan");
    expect(completed("--fre")).toContain("--freeze-until");
    expect(completed("plan", "--fre")).toContain("--freeze-until");
    expect(completed("plan", "--bn-mode", "")).toEqual(["inference", "follow", "freeze", "train"]);
    expect(readCommandLine(commands, ["completion"], "0")).toEqual({ kind: "completion" });
  });
});
