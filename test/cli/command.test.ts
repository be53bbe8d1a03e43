import { describe, expect, test } from "vitest";
import { flagsOf } from "../../src/cli/command.ts";
import type { Call } from "../../src/cli/command-line.ts";
import { readCommandLine } from "../../src/cli/command-line.ts";
import { commands } from "../../src/cli/commands.ts";
import { freezePolicies } from "../../src/cli/freeze-flags.ts";
import { helpText } from "../../src/cli/help.ts";
import { trainCommand } from "../../src/cli/train.ts";
import { UsageError } from "../../src/index.ts";

function call(...tokens: readonly string[]): Call {
  const request = readCommandLine(commands, tokens, "0.0.0");
  if (request.kind === "call") return request.call;
  throw new Error(`${tokens.join(" ")} calls no command`);
}

const parse = (...tokens: string[]) => call("train", ...tokens).values;
const refusal = (...tokens: string[]): string => {
  try {
    parse(...tokens);
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return (error as Error).message;
  }
  throw new Error(`${tokens.join(" ")} was taken`);
};

describe("flags", () => {
  test("each flag is taken with a value and with =", () => {
    expect(parse("--epochs", "3", "--lr=1e-4", "--json")).toEqual({ epochs: 3, lr: 1e-4, json: true });
  });

  test("what is not given is absent, so that the API's defaults apply", () => {
    expect(parse()).toEqual({});
    expect(Object.keys(call("--model", "m", "--data", "d").options)).toEqual(["model", "data"]);
  });

  test("a negative number is a value, not a flag", () => {
    expect(parse("--freeze-depth", "-2")).toEqual({ "freeze-depth": "-2" });
    expect(parse("--freeze-depth", "base:-2")).toEqual({ "freeze-depth": "base:-2" });
  });

  test("--freeze and --unfreeze may be repeated; a comma inside a regex or a set does not split", () => {
    const values = parse("--freeze", "conv1,/a{1,2}/", "--freeze", "bn[1,2]", "--unfreeze", "head");
    expect(freezePolicies(values)).toEqual([
      { kind: "freeze", patterns: ["conv1", "/a{1,2}/", "bn[1,2]"] },
      { kind: "unfreeze", patterns: ["head"] },
    ]);
  });

  test("every flag of a run reaches the API by its name there", () => {
    const { values, options } = call(
      ...["--model", "m.h5", "--data", "photos"],
      ...[
        "--arch",
        "resnet50",
        "--classes",
        "3",
        "--keep-head",
        "--image-size",
        "96x128",
        "--preprocess",
        "tf",
      ],
      ...["--no-exif", "--strict-data", "--freeze-until", "conv4", "--bn-mode", "follow", "--epochs", "2"],
      ...["--batch-size", "8", "--lr", "0.01", "--optimizer", "SGD", "--loss", "mse", "--seed", "5"],
      ...[
        "--patience",
        "2",
        "--cache",
        "c",
        "--cache-max",
        "5GB",
        "--cache-dtype",
        "float16",
        "--format",
        "h5",
      ],
      ...["--out", "o", "--overwrite", "--class-weight", "a=2,b=0.5"],
    );
    expect({ ...options, freeze: freezePolicies(values) }).toEqual({
      model: "m.h5",
      data: "photos",
      freeze: [{ kind: "until", patterns: ["conv4"] }],
      bnMode: "follow",
      epochs: 2,
      batchSize: 8,
      optimizer: "SGD",
      learningRate: 0.01,
      loss: "mse",
      classWeight: { a: 2, b: 0.5 },
      seed: 5,
      patience: 2,
      imageSize: [96, 128],
      preprocess: "tf",
      exif: false,
      strictData: true,
      cache: "c",
      cacheMax: 5e9,
      cacheDtype: "float16",
      arch: "resnet50",
      classes: 3,
      keepHead: true,
      outputFormat: "h5",
      out: "o",
      overwrite: true,
    });
    expect(call("--no-cache", "--cache", "c").options.cache).toBe(false);
  });

  test("phases are given one by one, each with its cut and its options", () => {
    const { options } = call(
      ...["--phase", "head epochs=3 lr=1e-3", "--phase", "conv4 epochs=5 lr=1e-4 schedule=cosine warmup=0.1"],
      ...["--phase", "none epochs=1"],
    );
    expect(options.phases).toEqual([
      { freeze: [{ kind: "all-but-head" }], epochs: 3, learningRate: 1e-3 },
      {
        freeze: [{ kind: "until", patterns: ["conv4"] }],
        epochs: 5,
        learningRate: 1e-4,
        schedule: "cosine",
        warmup: 0.1,
      },
      { freeze: [{ kind: "freeze", patterns: ["none"] }], epochs: 1 },
    ]);
    expect(refusal("--phase", "head epoch=3")).toMatch(/^--phase: expected a cut with its options, such as/);
    expect(refusal("--phase", "head")).toMatch(
      /^--phase: expected in phase 1 a whole number of 1 or more for epochs/,
    );
  });

  test("an unknown flag is refused with the nearest known one", () => {
    expect(refusal("--eopchs", "3")).toBe("--eopchs: unknown flag. Did you mean --epochs?");
    expect(refusal("--batchsize", "3")).toBe("--batchsize: unknown flag. Did you mean --batch-size?");
    expect(refusal("--no-epochs")).toMatch(/^--no-epochs: unknown flag\./);
    expect(refusal("--freezeUntil", "conv4")).toMatch(
      /^--freezeUntil: unknown flag\. Did you mean --freeze-until/,
    );
    expect(refusal("-e", "3")).toMatch(/^-e: unknown flag\./);
    expect(refusal("--constructor", "3")).toMatch(/^--constructor: unknown flag\./);
    expect(refusal("--xyzzy")).toBe("--xyzzy: unknown flag. --help lists the flags.");
  });

  test("a flag that takes a value is refused without one", () => {
    expect(refusal("--epochs")).toBe("--epochs: expected a value, got none. Write --epochs N.");
    expect(refusal("--out", "--json")).toBe("--out: expected a value, got none. Write --out DIR.");
    expect(refusal("--model", "-z")).toBe("--model: expected a value, got none. Write --model FILE.");
    expect(refusal("--model=")).toBe('--model: expected some text, got "".');
  });

  test("a switch is refused with a value", () => {
    expect(refusal("--json=yes")).toBe('--json: expected no value, got "yes".');
    expect(refusal("--overwrite", "false")).toMatch(/^"false": expected no further argument\./);
  });

  test("a flag that takes one value is refused twice", () => {
    expect(refusal("--epochs", "1", "--epochs", "2")).toBe(
      "--epochs: expected once, got it again. Give it once.",
    );
    expect(refusal("--freeze-until", "a", "--freeze-until=b")).toMatch(/^--freeze-until: expected once/);
    expect(refusal("--json", "--json")).toMatch(/^--json: expected once/);
  });

  test("every wrong value is refused with what was expected", () => {
    const wholeFromOne = [
      "0",
      "-1",
      "1.5",
      "ten",
      "",
      " ",
      "1e3x",
      "NaN",
      "Infinity",
      "99999999999999999999",
    ];
    const wrong: Readonly<Record<string, readonly string[]>> = {
      epochs: wholeFromOne,
      "batch-size": wholeFromOne,
      patience: wholeFromOne,
      classes: wholeFromOne,
      seed: ["-1", "0.5", "x"],
      lr: ["0", "-0.1", "fast", "Infinity", "NaN", "1e999"],
      "image-size": ["0", "-3", "224x", "x224", "224x0", "big", "224X224", "2.5"],
      "cache-max": ["10XB", "GB", "-1GB", "0"],
      "cache-dtype": ["float64", "half"],
      preprocess: ["Caffe", "keras"],
      "bn-mode": ["off", "INFERENCE"],
      engine: ["gpu"],
      format: ["pickle", "keras3"],
      "class-weight": ["heavy", "a=", "a=-1", "a=0", "=2"],
    };
    for (const [name, texts] of Object.entries(wrong)) {
      for (const text of texts) {
        const message = refusal(`--${name}=${text}`);
        expect(message).toMatch(new RegExp(`^--${name}: expected .+, got "`));
        expect(message).toContain(`got ${JSON.stringify(text)}.`);
      }
    }
  });

  test("two flags that each set the cut are refused together", () => {
    const values = parse("--freeze-until", "a", "--freeze-all-but-head");
    expect(() => freezePolicies(values)).toThrow(
      "--freeze-until and --freeze-all-but-head: expected one flag that sets the cut, got 2.",
    );
  });

  test("an argument that no flag takes is refused", () => {
    expect(refusal("--epochs", "3", "photos")).toMatch(/^"photos": expected no further argument\./);
  });
});

describe("arguments of the other commands", () => {
  test("too few, too many and wrong ones are refused", () => {
    const refused = (command: string, tokens: string): string => {
      try {
        call(command, ...tokens.split(" ").filter(Boolean));
      } catch (error) {
        expect(error).toBeInstanceOf(UsageError);
        return (error as Error).message;
      }
      throw new Error(`${tokens} was taken`);
    };
    expect(refused("inspect", "")).toMatch(/^finetune inspect MODEL: expected 1 argument, got 0\./);
    expect(refused("inspect", "a b")).toMatch(/^"b": expected no further argument\./);
    expect(refused("inspect", "a --epochs 3")).toMatch(/^--epochs: unknown flag\./);
    expect(refused("plan", "a --classes 1")).toMatch(/^--classes: expected a whole number of 2 or more/);
    expect(refused("predict", "a")).toMatch(
      /^finetune predict MODEL FILE\.\.\.: expected 2 arguments, got 1\./,
    );
    expect(refused("predict", "a b --top 0")).toMatch(
      /^--top: expected a whole number of 1 or more, got "0"\./,
    );
    expect(refused("evaluate", "--data d")).toMatch(
      /^finetune evaluate MODEL --data DIR: expected 1 argument/,
    );
    expect(refused("convert", "a b c")).toMatch(/^"c": expected no further argument\./);
    expect(refused("doctor", "--engine gpu")).toMatch(
      /^--engine: expected one of auto, native, webgpu, wasm/,
    );
    expect(refused("setup", "now")).toMatch(/^"now": expected no further argument\./);
  });
});

describe("help", () => {
  test("it lists every flag with its value, no line longer than the terminal", () => {
    const help = helpText(trainCommand, 80);
    for (const name of flagsOf(trainCommand).keys())
      expect(help).toMatch(new RegExp(`^  --${name}(?: |$)`, "m"));
    expect(help).toMatch(/^ {2}--epochs N {2,}\S/m);
    const long = help.split("\n").filter((line) => line.length > 80 && !line.includes("finetune --"));
    expect(long).toEqual([]);
  });
});
