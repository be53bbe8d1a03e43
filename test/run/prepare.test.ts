import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { Checkpoint } from "../../src/checkpoint.ts";
import { KerasFileError, UsageError } from "../../src/errors.ts";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { freeze, freezeDepth, freezeThrough, freezeUntil, unfreeze } from "../../src/freeze/policy.ts";
import type { FinetuneOptions } from "../../src/run/options.ts";
import { prepareRun } from "../../src/run/prepare.ts";
import { resolveOptions } from "../../src/run/settings.ts";

const fixtures = join(import.meta.dirname, "..", "..", "fixtures");
const model = join(fixtures, "cli", "small_resnet.keras");
let checkpoint: Checkpoint;
const prepare = async (options: FinetuneOptions) => prepareRun(resolveOptions(options));

beforeAll(async () => {
  checkpoint = await readCheckpoint(model);
});

/** Three pictures each of two classes, gone after the test. */
function photos(): string {
  const folder = mkdtempSync(join(tmpdir(), "prepare-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const name of ["brick", "grass"]) {
    mkdirSync(join(folder, name));
    for (const index of [0, 1, 2]) {
      const picture = `${name}-0${index}.jpg`;
      cpSync(join(fixtures, "demo", "photos", "train", name, picture), join(folder, name, picture));
    }
  }
  return folder;
}

describe("a run is refused before anything is computed, as an error of what was asked,", () => {
  const wrong: readonly (readonly [what: string, options: Partial<FinetuneOptions>, message: RegExp])[] = [
    ["an unknown optimizer", { optimizer: "Adamm" }, /^optimizer "Adamm": expected one of SGD, .*Adam/],
    ["an unknown loss", { loss: "focal" }, /^loss "focal": expected one of categorical_crossentropy/],
    ["an unknown architecture", { arch: "resnet51" }, /^arch "resnet51": no such architecture\. Known: /],
    ["another count of classes", { classes: 3 }, /^classes: expected 2, the classes in the data, got 3\./],
    ["a head to keep for others", { keepHead: true }, /^keepHead: expected a head for 2 classes/],
    ["another picture size", { imageSize: 64 }, /^imageSize: expected 32x32.*got 64x64/],
    [
      "a weight of a class that is none",
      { classWeight: { brick: 2, gras: 1 } },
      /^classWeight "gras": expected a class of the data, got none of that name\. Classes: brick, grass\.$/,
    ],
    ["a weight of a class beyond the last", { classWeight: { "2": 1 } }, /^classWeight "2": expected/],
    [
      "a name that nothing has",
      { freeze: freezeUntil("conv9") },
      /^freezeUntil\("conv9"\): no layer matches/,
    ],
    ["one to freeze through", { freeze: freezeThrough("x") }, /^freezeThrough\("x"\): no layer matches/],
    ["one to freeze", { freeze: freeze("onv1") }, /^freeze\("onv1"\): no layer matches/],
    ["one to unfreeze", { freeze: unfreeze("onv1") }, /^unfreeze\("onv1"\): no layer matches/],
    ["no regular expression", { freeze: freeze("/(/") }, /^\/\(\/: expected a valid regular expression/],
    [
      "a depth of too many",
      { freeze: freezeDepth(99) },
      /^freezeDepth\(99\): expected at most the 24 layers/,
    ],
    ["one of a model that is none", { freeze: freezeDepth("base:3") }, /^freezeDepth\("base:3"\): expected/],
    ["everything frozen", { freeze: freeze("/./") }, /^The policy freezes all [\d,]+ parameters/],
  ];
  test.each(wrong)("for %s", async (_what, options, message) => {
    const refused = prepare({ model, data: photos(), cache: false, ...options });
    await expect(refused).rejects.toThrow(UsageError);
    await expect(refused).rejects.toThrow(message);
  });
});

test("class weights are by name or by index", async () => {
  await prepare({ model: checkpoint, data: photos(), cache: false, classWeight: { brick: 2, "1": 1 } });
});

test("a weight that is not a number is an error of the file, by layer and name", async () => {
  const [kernel, ...rest] = checkpoint.weights.get("conv2_block1_1_conv")!;
  const data = Float32Array.from(kernel!.data as Float32Array);
  data[3] = Number.NaN;
  const weights = new Map(checkpoint.weights).set("conv2_block1_1_conv", [{ ...kernel!, data }, ...rest]);
  const refused = prepare({ model: { ...checkpoint, weights }, data: photos(), cache: false });
  await expect(refused).rejects.toThrow(KerasFileError);
  await expect(refused).rejects.toThrow("conv2_block1_1_conv/kernel: expected numbers, got NaN.");
});
