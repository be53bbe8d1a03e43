import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { maskFolder } from "../../src/data/mask-folder.ts";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { evaluate } from "../../src/inference/evaluate.ts";
import { answers, folderWith } from "../data/answers.ts";

interface MaskAnswers {
  readonly images: readonly string[];
  readonly masks: Readonly<Record<string, readonly string[]>>;
  readonly models: Readonly<Record<"classes" | "binary", { file: string; loss: number; accuracy: number }>>;
}

const { images, masks, models } = await answers<MaskAnswers>("masks.json.gz");

async function folderOf(coding: string): Promise<string> {
  const extension = /\.(\w+)$/.exec(coding)?.[1] ?? "png";
  const files = images.flatMap((image, index) => [
    [`images/${index}.png`, Buffer.from(image, "base64")] as const,
    [`masks/${index}.${extension}`, Buffer.from(masks[coding]?.[index] ?? "", "base64")] as const,
  ]);
  return folderWith(Object.fromEntries(files));
}

async function modelOf(name: "classes" | "binary") {
  const path = join(await folderWith(), "model.keras");
  await writeFile(path, gunzipSync(Buffer.from(models[name].file, "base64")));
  return readCheckpoint(path);
}

describe("a model that tells a class for each pixel", () => {
  test.each([
    ["classes", "palette"],
    ["classes", "gray"],
    ["classes", "spread"],
    ["binary", "binary"],
    ["binary", "binary.gif"],
  ] as const)("of %s is evaluated on images and masks (%s) as Keras does on arrays", async (name, coding) => {
    const dataset = await maskFolder(await folderOf(coding));
    const { loss, metrics } = await evaluate(await modelOf(name), dataset);
    expect(Math.abs(loss - models[name].loss)).toBeLessThan(2e-5);
    expect(Math.abs(Number(metrics["accuracy"]) - models[name].accuracy)).toBeLessThan(2e-5);
  });

  test("refuses masks of more classes than it has", async () => {
    const dataset = await maskFolder(await folderOf("palette"));
    await expect(evaluate(await modelOf("binary"), dataset)).rejects.toThrow(/class/);
  });
});
