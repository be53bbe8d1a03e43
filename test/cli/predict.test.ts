import { cpSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { decodeImage } from "../../src/data/decode.ts";
import { predictFiles, readCheckpoint } from "../../src/index.ts";
import { fixture, runCli, scratch } from "./run-cli.ts";

const model = fixture("cli", "small_resnet.keras");
const photos = fixture("demo", "photos", "val", "grass");

describe("predict", () => {
  test("--jsonl prints a line for each file, each the document's entry", async () => {
    const { code, stdout } = await runCli(["predict", model, photos, "--jsonl", "--top", "2"]);
    const document = await runCli(["predict", model, photos, "--json", "--top", "2"]);
    expect(code).toBe(0);
    const lines = stdout.trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line))).toEqual(JSON.parse(document.stdout));
    expect(lines).toHaveLength(10);
  });

  test("--csv prints a table with a row for each class of each file", async () => {
    const { code, stdout } = await runCli(["predict", model, photos, "--csv", "--top", "1"]);
    expect(code).toBe(0);
    const [head, ...rows] = stdout.trimEnd().split("\n");
    expect(head).toBe("path,label,index,probability");
    const expected = await predictFiles(await readCheckpoint(model), [photos], { top: 1 });
    expect(rows.map((row) => row.split(",").slice(0, 3))).toEqual(
      expected.map((found) => {
        const [best] = "predictions" in found ? found.predictions : [];
        return [found.path, best?.label, String(best?.index)];
      }),
    );
  });

  test("--explain writes each image under a heatmap and names it, files of one name too", async () => {
    const out = join(scratch(), "explained");
    const [first = "", second = ""] = ["val/grass/grass-30.jpg", "train/grass/grass-00.jpg"].map((name) => {
      const copy = join(scratch(), "photo.jpg");
      cpSync(fixture("demo", "photos", name), copy);
      return copy;
    });
    const { code, stdout } = await runCli([
      "predict",
      model,
      first,
      second,
      "--explain",
      "--out",
      out,
      "--json",
    ]);
    expect(code).toBe(0);
    const explained = (JSON.parse(stdout) as { explained: string }[]).map((entry) => entry.explained);
    expect(explained).toEqual([join(out, "photo.png"), join(out, "photo-2.png")]);
    const [plain, under] = await Promise.all([decodeImage(first), decodeImage(explained[0] ?? "")]);
    expect([under.width, under.height, under.format]).toEqual([plain.width, plain.height, "png"]);
    expect(under.pixels).not.toEqual(plain.pixels);
  });

  test("two forms of the output are refused together", async () => {
    const { code, stdout, stderr } = await runCli(["predict", model, photos, "--csv", "--json"]);
    expect([code, stdout, stderr]).toEqual([
      2,
      "",
      "--json and --csv: expected one form of the output, got 2.\n",
    ]);
  });
});
