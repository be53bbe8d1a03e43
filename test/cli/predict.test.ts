import { describe, expect, test } from "vitest";
import { predictFiles, readCheckpoint } from "../../src/index.ts";
import { fixture, runCli } from "./run-cli.ts";

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

  test("two forms of the output are refused together", async () => {
    const { code, stdout, stderr } = await runCli(["predict", model, photos, "--csv", "--json"]);
    expect([code, stdout, stderr]).toEqual([
      2,
      "",
      "--json and --csv: expected one form of the output, got 2.\n",
    ]);
  });
});
