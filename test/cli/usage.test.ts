import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { fixture, photos, runCli, scratch } from "./run-cli.ts";

const model = fixture("cli", "small_resnet.keras");

/** Runs the command, which must fail: nothing on stdout, no stack on stderr. */
async function refused(...args: readonly string[]): Promise<{ code: number | null; message: string }> {
  const { code, stdout, stderr } = await runCli(args);
  expect(stdout).toBe("");
  expect(stderr).not.toMatch(/^\s+at /m);
  const lines = stderr
    .trim()
    .split("\n")
    .filter((line) => !/^(?:hint|engine) /.test(line));
  return { code, message: lines.join("\n") };
}

describe("the command line", () => {
  test("--help says how to call it, every command has its own, --version the version", async () => {
    const help = await runCli(["--help"]);
    expect([help.code, help.stderr]).toEqual([0, ""]);
    expect(help.stdout).toContain("finetune --model FILE --data DIR");
    const commands = ["plan", "inspect", "predict", "evaluate", "convert", "setup", "doctor"];
    for (const name of commands) expect(help.stdout).toMatch(new RegExp(`^  finetune ${name}`, "m"));
    expect(help.stdout).toMatch(/^Exit codes: 0 done, 2 the command line, 1 .*, 130 Ctrl-C\.$/m);
    const own = await runCli(["plan", "--help"]);
    expect([own.code, own.stdout.startsWith("finetune plan MODEL")]).toEqual([0, true]);
    expect((await runCli(["help"])).stdout).toBe(help.stdout);
    const start = await runCli([]);
    expect([start.code, start.stderr]).toEqual([0, ""]);
    expect(start.stdout.trim().split("\n").length).toBeLessThanOrEqual(12);
    const { version } = JSON.parse(readFileSync(join(fixture(), "..", "package.json"), "utf8"));
    expect((await runCli(["--version"])).stdout.trim()).toBe(version);
  });

  test("what is wrong with flags and arguments exits with 2", async () => {
    const wrong: readonly (readonly [args: string, message: RegExp])[] = [
      ["--modle x", /^--modle: unknown flag\. Did you mean --model\?$/],
      ["--model m --data d --epochs 0", /^--epochs: expected a whole number of 1 or more, got "0"\.$/],
      [
        "--model m",
        /^--data: expected a folder of class folders, or a table, got none\. Usage: finetune --model FILE --data DIR$/,
      ],
      ["inspct m", /^"inspct": unknown command\. Did you mean inspect\?$/],
      ["convert a", /^finetune convert IN OUT: expected 2 arguments, got 1\./],
      [
        "evaluate m",
        /^--data: expected a folder or a table, got none\. Usage: finetune evaluate MODEL --data DIR$/,
      ],
    ];
    for (const [args, message] of wrong) {
      const refusal = await refused(...args.split(" "));
      expect(refusal, args).toEqual({ code: 2, message: expect.stringMatching(message) });
    }
  });

  test("what is wrong with the freeze policy exits with 2, naming the flag, with the nearest names and the stages", async () => {
    const none = await refused("plan", model, "--freeze-until", "conv4");
    expect(none.code).toBe(2);
    expect(none.message).toMatch(/^--freeze-until "conv4": no layer matches\. Did you mean .*conv3/);
    expect(none.message).toMatch(/Stages: conv1 conv2 conv3 head\. .*lists all \d+ layers\.$/);
    const all = await refused("plan", model, "--freeze", "/./");
    expect(all.code).toBe(2);
    expect(all.message).toMatch(/^The policy freezes all [\d,]+ parameters; nothing is left to train\./);
    const expression = await refused("plan", model, "--freeze", "/(/");
    expect(expression.code).toBe(2);
    const conv1 = await refused("plan", model, "--freeze", "onv1");
    expect(conv1.message).toContain('--freeze "onv1": no layer matches.');
  });

  test("what is wrong with the file exits with 1 and names the file", async () => {
    const folder = scratch();
    const write = (name: string, content: string | Buffer): string => {
      writeFileSync(join(folder, name), content);
      return join(folder, name);
    };
    const truncated = join(folder, "truncated.h5");
    cpSync(fixture("cli", "small_resnet.h5"), truncated);
    truncateSync(truncated, 60_000);
    const half = join(folder, "half.keras");
    cpSync(model, half);
    truncateSync(half, 50_000);
    const files = [
      join(folder, "none.h5"),
      write("empty.h5", ""),
      write("text.keras", "no model at all"),
      truncated,
      half,
      folder,
    ];
    for (const file of files) {
      const { code, message } = await refused("inspect", file);
      expect([file, code, message.startsWith(file)]).toEqual([file, 1, true]);
    }
    const weightsOnly = await refused("inspect", fixture("cli", "weights-only.h5"));
    expect(weightsOnly.code).toBe(1);
    expect(weightsOnly.message).toContain("no model_config");
  });

  test("a layer that only Python can run exits with 1 and is named", async () => {
    const picture = fixture("demo", "photos", "val", "brick", "brick-30.jpg");
    const { code, message } = await refused("predict", fixture("cli", "lambda.keras"), picture);
    expect(code).toBe(1);
    expect(message).toContain("double (Lambda)");
  });

  test("what is wrong with the pictures exits with 1 and says what was found", async () => {
    const run = (data: string) => refused("--model", model, "--data", data, "--dry-run");
    const missing = await run(join(scratch(), "none"));
    expect(missing).toEqual({ code: 1, message: expect.stringContaining("no such folder") });
    const empty = await run(scratch());
    expect(empty.code).toBe(1);
    const loose = scratch();
    cpSync(fixture("demo", "photos", "val", "brick", "brick-30.jpg"), join(loose, "a.jpg"));
    const noFolders = await run(loose);
    expect(noFolders.code).toBe(1);
    expect(noFolders.message).toContain("no class folders");
    expect(noFolders.message).toContain("a.jpg");
    expect(await run(photos({ brick: 3 }))).toEqual({
      code: 1,
      message: expect.stringContaining("Only one class folder (brick). Two or more are needed."),
    });
    const strange = await run(photos({ train: { brick: 3, grass: 3 }, val: { brick: 1, gravel: 1 } }));
    expect(strange.code).toBe(1);
    expect(strange.message).toContain('val has class "gravel" that train lacks.');
  });

  test("a class of broken pictures ends the run with 1, whether there are others or not", async () => {
    for (const data of [photos({ a: 0 }), photos({ brick: 3 })]) {
      for (const name of ["a", "zebra"]) {
        mkdirSync(join(data, name), { recursive: true });
        for (const index of [1, 2, 3]) writeFileSync(join(data, name, `${index}.jpg`), "no picture");
      }
      const out = join(scratch(), "run");
      const { code, stderr } = await runCli(["--model", model, "--data", data, "--out", out]);
      expect(code).toBe(1);
      expect(stderr).toContain(
        `class a: expected images to train on, got 3 that cannot be decoded. The first is ${join(data, "a", "1.jpg")}: not an image: `,
      );
      expect(stderr).not.toMatch(/^\s+at /m);
      expect(existsSync(out)).toBe(false);
    }
  });

  test("--image-size against a fixed input, --classes against the data and --patience without val exit with 2", async () => {
    const data = photos({ brick: 3, grass: 3 });
    const run = (...args: string[]) => refused("--model", model, "--data", data, "--dry-run", ...args);
    const size = await run("--image-size", "64");
    expect(size.code).toBe(2);
    expect(size.message).toMatch(/image-size.*32.*64/);
    expect(await run("--classes", "3")).toEqual({ code: 2, message: expect.stringContaining("--classes") });
    expect((await run("--optimizer", "Adamm")).message).toMatch(
      /^--optimizer "Adamm": expected one of SGD, /,
    );
    expect((await run("--loss", "focal")).code).toBe(2);
  });

  test("an output that exists exits with 2 before anything is computed, an unwritable one with 1", async () => {
    const data = photos({ brick: 3, grass: 3 });
    const out = scratch();
    writeFileSync(join(out, "mine.txt"), "mine");
    const exists = await runCli(["--model", model, "--data", data, "--out", out]);
    expect(exists.code).toBe(2);
    expect(exists.stderr).toContain(
      `${out}: output: expected a new or empty folder, got one that holds mine.txt.`,
    );
    expect(exists.stdout).not.toContain("epoch 1/");
    const unwritable = await runCli([
      "--model",
      model,
      "--data",
      data,
      "--out",
      join(out, "mine.txt", "run"),
    ]);
    expect(unwritable.code).toBe(1);
    expect(unwritable.stderr).toContain("output: expected a folder that can be written");
    const target = join(out, "mine.txt");
    const convert = await refused("convert", model, target);
    expect(convert).toEqual({ code: 2, message: expect.stringContaining("expected a new file") });
    expect(readFileSync(target, "utf8")).toBe("mine");
  });
});

describe("a clone without its packages or its build", () => {
  test("says in one line what to do, and exits with 1", async () => {
    const packages = "node_modules/yargs/package.json";
    for (const given of [["dist/bundle/main.js", packages], []]) {
      const clone = scratch();
      mkdirSync(join(clone, "bin"));
      cpSync(join(fixture(), "..", "bin", "finetune.js"), join(clone, "bin", "finetune.js"));
      writeFileSync(join(clone, "package.json"), '{"type": "module"}');
      for (const path of given) {
        mkdirSync(join(clone, path, ".."), { recursive: true });
        // A package that has no files.
        writeFileSync(join(clone, path), path === packages ? '{"exports": {}}' : "");
      }
      const result = spawnSync(process.execPath, [join(clone, "bin", "finetune.js")], { encoding: "utf8" });
      expect([result.status, result.stdout]).toEqual([1, ""]);
      expect(result.stderr).toMatch(/^.*: expected its packages and its build, .* Run "npm ci" there\.\n$/);
    }
  });
});

test("a heap that is too small is said in one line, with what to set, and exits with 1", async () => {
  const picture = fixture("demo", "photos", "val", "brick", "brick-30.jpg");
  const { code, stdout, stderr } = await runCli(["predict", model, picture], {
    env: { NODE_OPTIONS: "--max-old-space-size=10" },
  });
  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toMatch(/^memory: expected the work to fit .* Set NODE_OPTIONS=--max-old-space-size=8000/m);
});
