import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { modelPath } from "../formats/model-fixtures.ts";

const folder = "fixtures/zips";

test.each(readdirSync(folder))("%s holds the model that Keras packed otherwise", async (file) => {
  expect(await readCheckpoint(`${folder}/${file}`)).toEqual(
    await readCheckpoint(modelPath("k3-rewritten.keras")),
  );
});

test("there are archives stored and deflated, with wide sizes, with sizes behind the data", () => {
  expect(readdirSync(folder).length).toBeGreaterThan(7);
});
