import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { afterEach, describe, expect, test } from "vitest";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { withSource } from "../../src/formats/source.ts";
import { bytesFile } from "../../src/hdf5/file-system.ts";
import { loadLibrary } from "../../src/hdf5/library.ts";
import { openVirtual } from "../../src/hdf5/reader.ts";
import { StarvedRead, untilNotStarved, withTimeLimit } from "../../src/hdf5/time-limit.ts";

const variable = "KERAS_FINETUNE_READ_SECONDS";
afterEach(() => {
  delete process.env[variable];
});

test.each(["endless.h5", "endless-links.h5"])(
  "a file in which the HDF5 library goes in circles is refused by name in time: %s",
  async (name) => {
    process.env[variable] = "0.5";
    await expect(readCheckpoint(`fixtures/hdf5/${name}`)).rejects.toThrow(
      `fixtures/hdf5/${name}: reading: expected an end within 0.5 s of processor time, got none.`,
    );
  },
);

/** Keeps the thread waiting, as one that gets no processor, or whose disk does not answer. */
const standStill = (milliseconds: number): string =>
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);

describe("a read that has no processor", () => {
  test("is interrupted, and not taken for one of a damaged file", () => {
    process.env[variable] = "0.1";
    expect(() => withTimeLimit("good.h5", 100, () => standStill(60_000))).toThrow(StarvedRead);
  });

  test("is begun again, with more time each, until it has ended", async () => {
    process.env[variable] = "0.1";
    let tries = 0;
    const read = async (): Promise<string> =>
      withTimeLimit("good.h5", 100, () => {
        tries++;
        return standStill(250);
      });
    await expect(untilNotStarved(read)).resolves.toBe("timed-out");
    expect(tries).toBeGreaterThan(1);
  });

  test("goes on to the file's weights, by a library of its own", async () => {
    process.env[variable] = "0.1";
    const former = await loadLibrary();
    let tries = 0;
    const layers = await withSource("fixtures/models/k212-film.h5", (source) => {
      if (source.kind !== "hdf5") throw new Error(source.kind);
      if (++tries === 1) standStill(60_000);
      return source.file.root.group("model_weights")?.textList("layer_names");
    });
    expect(tries).toBeGreaterThan(1);
    expect(layers?.length).toBeGreaterThan(0);
    expect((await loadLibrary()).library).not.toBe(former.library);
  });

  test("is begun again where it stood still while the file was opened, as a process that is stopped does", async () => {
    process.env[variable] = "0.1";
    const bytes = bytesFile(readFileSync("fixtures/models/k212-film.h5"));
    let reads = 0;
    const read = (target: Uint8Array, position: number): number => {
      if (++reads === 1) standStill(60_000);
      return bytes.read(target, position);
    };
    const file = await untilNotStarved(() => openVirtual({ ...bytes, read }, "good.h5"));
    expect(file.root.group("model_weights")).toBeDefined();
    file.close();
  });

  test("is judged once it has had its time: an endless file that first stands still is refused", async () => {
    process.env[variable] = "0.1";
    let tries = 0;
    const read = async (): Promise<void> =>
      withTimeLimit("endless.h5", 100, () => {
        if (++tries === 1) standStill(60_000);
        for (;;);
      });
    await expect(untilNotStarved(read)).rejects.toThrow(
      "endless.h5: reading: expected an end within 0.1 s of processor time, got none.",
    );
  });
});

test("another file is read after one that was given up", async () => {
  process.env[variable] = "0.5";
  await readCheckpoint("fixtures/hdf5/endless.h5").catch(() => {});
  delete process.env[variable];
  const { weights } = await readCheckpoint("fixtures/models/k212-film.h5");
  expect(weights.size).toBeGreaterThan(0);
});

test("a file at which the HDF5 library stops is refused by name, and the next is read by a new library", async () => {
  const former = await loadLibrary();
  const stopped = Object.assign(new Error("Aborted(native code called abort())"), { name: "RuntimeError" });
  expect(() =>
    withTimeLimit("stops.h5", 100, () => {
      throw stopped;
    }),
  ).toThrow("stops.h5: reading: the HDF5 library stopped (Aborted(native code called abort())).");
  expect((await loadLibrary()).library).not.toBe(former.library);
  for (const name of ["k212-film.h5", "k3-lora.keras"]) {
    expect((await readCheckpoint(`fixtures/models/${name}`)).weights.size).toBeGreaterThan(0);
  }
});

test("a read that goes on after an await, where it would have no limit, is a programming error", () => {
  expect(() => withTimeLimit("file", 100, async () => 7)).toThrow("returned a promise");
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
