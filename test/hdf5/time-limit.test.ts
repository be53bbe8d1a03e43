import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, expect, test } from "vitest";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { withTimeLimit } from "../../src/hdf5/time-limit.ts";

const variable = "KERAS_FINETUNE_READ_SECONDS";
afterEach(() => {
  delete process.env[variable];
});

test.each(["endless.h5", "endless-links.h5"])(
  "a file in which the HDF5 library goes in circles is refused by name in time: %s",
  async (name) => {
    process.env[variable] = "0.5";
    await expect(readCheckpoint(`fixtures/hdf5/${name}`)).rejects.toThrow(
      `fixtures/hdf5/${name}: reading: expected an end within 0.5 s, got none.`,
    );
  },
);

test("another file is read after one that was given up", async () => {
  process.env[variable] = "0.5";
  await readCheckpoint("fixtures/hdf5/endless.h5").catch(() => {});
  const { weights } = await readCheckpoint("fixtures/models/k212-film.h5");
  expect(weights.size).toBeGreaterThan(0);
});

test("what a read returns or throws passes through, and a call inside another shares its time", () => {
  expect(withTimeLimit("file", 100, () => withTimeLimit("file", 100, () => 7))).toBe(7);
  const error = new Error("own");
  expect(() =>
    withTimeLimit("file", 100, () => {
      throw error;
    }),
  ).toThrow(error);
});

test("Ctrl-C ends a command that reads an endless file at once", async () => {
  const child = spawn(process.execPath, ["bin/finetune.js", "inspect", "fixtures/hdf5/endless.h5"]);
  await new Promise((resolve) => setTimeout(resolve, 2500));
  const asked = performance.now();
  child.kill("SIGINT");
  await once(child, "exit");
  expect(performance.now() - asked).toBeLessThan(3000);
});
