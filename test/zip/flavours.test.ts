import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { modelPath } from "../formats/model-fixtures.ts";

const folder = "fixtures/zips";

test.each(readdirSync(folder))(
  "%s, packed by another tool, holds the same model as Keras's archive",
  async (file) => {
    expect(await readCheckpoint(`${folder}/${file}`)).toEqual(
      await readCheckpoint(modelPath("k3-rewritten.keras")),
    );
  },
);

test("there are archives stored and deflated, with zip64 sizes and with sizes behind the data", () => {
  expect(readdirSync(folder).length).toBeGreaterThan(7);
});
