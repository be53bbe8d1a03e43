import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readCheckpoint, writeCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { resolveOptions } from "../../src/run/settings.ts";

test("an address in place of a model's path is refused with the command that fetches it", async () => {
  await expect(readCheckpoint("s3://bucket/model.keras")).rejects.toThrow(
    "s3://bucket/model.keras: expected a file or a folder on a disk, got an address. Fetch it first: aws s3 cp s3://bucket/model.keras .",
  );
  await expect(readCheckpoint("https://example.org/resnet50.h5")).rejects.toThrow(
    "Fetch it first: curl -LO https://example.org/resnet50.h5",
  );
});

test("an address in place of a run folder or a model to write is refused, and makes no folder of its name", async () => {
  const out = "s3://bucket/runs/1";
  expect(() => resolveOptions({ model: "model.keras", data: "photos", out })).toThrow(
    `${out}: expected a path on a disk to write to, got an address. Name a path on a disk and copy what is written: aws s3 cp --recursive DIR ${out}`,
  );
  const checkpoint = await readCheckpoint(
    join(import.meta.dirname, "..", "..", "fixtures", "cli", "small_resnet.keras"),
  );
  await expect(writeCheckpoint("s3://bucket/model.keras", checkpoint)).rejects.toThrow(/got an address/);
  expect(existsSync("s3:")).toBe(false);
});
