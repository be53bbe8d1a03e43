import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Checkpoint } from "../../src/checkpoint.ts";
import { TopologyError } from "../../src/errors.ts";
import { readCheckpoint, writeCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { forEarlyKeras3 } from "../../src/formats/keras/format.ts";
import { changesInKeras3 } from "../../src/topology/translate/changes-in-keras3.ts";
import type { Keras } from "./keras.ts";
import { startKeras } from "./keras.ts";
import { apart, kerasModels, textModels } from "./written-models.ts";

/** @file What is written as `.keras` of every model, opened by real Keras: the current one, and 3.0.5 in its form. */

describe.each(["current", "early"] as const)("%s Keras 3", (release) => {
  let keras: Keras;
  beforeAll(() => {
    keras = startKeras(release);
  });
  afterAll(() => keras.close());

  test.each([...kerasModels(), ...textModels()])(
    "%s opens and predicts the same, unless a warning says what changes",
    async (_file, model) => {
      const checkpoint = await readCheckpoint(model.path);
      const written = release === "early" ? earlyOrRefused(checkpoint) : checkpoint;
      if (!written) return;
      const path = join(keras.folder, "written.keras");
      await writeCheckpoint(path, written);
      await keras.ask("open", { name: "written", path });
      const largest = await apart(keras, "written", model);
      if (changesInKeras3(checkpoint, release).length === 0) expect(largest).toBeLessThan(model.within);
    },
  );
});

/** In the form of Keras 3.0; undefined where that is refused by the name of a layer. */
function earlyOrRefused(checkpoint: Checkpoint): Checkpoint | undefined {
  try {
    return forEarlyKeras3(checkpoint);
  } catch (error) {
    if (!(error instanceof TopologyError)) throw error;
    expect(error.message).toMatch(/: Keras 3\.0 (fails to open|has no) /);
    return undefined;
  }
}
