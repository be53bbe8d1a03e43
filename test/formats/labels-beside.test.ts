import { cpSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readCheckpoint, writeCheckpoint } from "../../src/index.ts";
import { scratch } from "../hdf5/temporary.ts";

/** A folder with a model of 4 classes that knows no labels, as `.h5` or as a tfjs folder. */
async function exported(kind: "h5" | "tfjs"): Promise<{ folder: string; model: string }> {
  const folder = scratch();
  const source = "fixtures/cli/small_resnet.h5";
  if (kind === "h5") {
    const model = join(folder, "keras_model.h5");
    cpSync(source, model);
    return { folder, model };
  }
  await writeCheckpoint(folder, await readCheckpoint(source));
  return { folder, model: join(folder, "model.json") };
}

describe("labels beside a model", () => {
  test("labels.txt of Teachable Machine has the index before each name", async () => {
    const { folder, model } = await exported("h5");
    writeFileSync(join(folder, "labels.txt"), "0 ants\r\n1 bumble bees\r\n2 2 wasps\r\n3 flies\r\n");
    expect((await readCheckpoint(model)).notes.labels).toEqual(["ants", "bumble bees", "2 wasps", "flies"]);
  });

  test("a labels.txt without indices has a name in each line", async () => {
    const { folder, model } = await exported("h5");
    writeFileSync(join(folder, "labels.txt"), "\ufeffants\nbees\n7 wasps\nflies\n");
    expect((await readCheckpoint(model)).notes.labels).toEqual(["ants", "bees", "7 wasps", "flies"]);
  });

  test("metadata.json beside a tfjs model gives labels, and the pixels of Teachable Machine's images", async () => {
    const { folder, model } = await exported("tfjs");
    const metadata = { packageName: "@teachablemachine/image", labels: ["a", "b", "c", "d"], imageSize: 224 };
    writeFileSync(join(folder, "metadata.json"), JSON.stringify(metadata));
    for (const path of [model, folder]) {
      expect((await readCheckpoint(path)).notes).toMatchObject({
        labels: ["a", "b", "c", "d"],
        preprocess: "tf",
      });
    }
  });

  test("the file's own labels come first", async () => {
    const { folder } = await exported("h5");
    const checkpoint = await readCheckpoint("fixtures/cli/small_resnet.h5");
    const model = join(folder, "own.keras");
    await writeCheckpoint(model, { ...checkpoint, notes: { labels: ["x", "y", "z", "w"] } });
    writeFileSync(join(folder, "labels.txt"), "0 ants\n1 bees\n2 wasps\n3 flies\n");
    expect((await readCheckpoint(model)).notes.labels).toEqual(["x", "y", "z", "w"]);
  });

  test.each(["0 ants\n1 bees\n", "ants\nants\nbees\nflies\n"])(
    "%j does not name four classes and is left alone",
    async (text) => {
      const { folder, model } = await exported("h5");
      writeFileSync(join(folder, "labels.txt"), text);
      writeFileSync(join(folder, "metadata.json"), "{");
      expect((await readCheckpoint(model)).notes.labels).toBeUndefined();
    },
  );
});
