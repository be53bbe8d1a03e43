import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readCheckpoint, writeCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { isTensor } from "../../src/lazy-tensor.ts";
import { openModel } from "../../src/run/open-model.ts";
import { resolveOptions } from "../../src/run/settings.ts";
import { wideNetwork } from "./wide-network.ts";

const folder = mkdtempSync(join(tmpdir(), "kept-weights-"));
const cache = join(folder, "cache");
const data = { kind: "arrays", inputs: [], targets: [] } as const;
beforeAll(async () => {
  // 77 kB of kernel, and small weights.
  const network = wideNetwork({ side: 4, channels: 64, filters: 300, classes: 2 });
  for (const ending of ["keras", "h5"]) await writeCheckpoint(join(folder, `wide.${ending}`), network);
});
afterAll(() => rmSync(folder, { recursive: true }));

const isLazy = (weight: object) => Object.getOwnPropertyDescriptor(weight, "data")?.get !== undefined;

test.each(["wide.keras", "wide.h5"])(
  "a run reads the large weights of %s when they are asked for",
  async (name) => {
    const model = join(folder, name);
    const { weights } = await openModel(resolveOptions({ model, data, cache } as never));
    expect(new Map(weights)).toEqual(new Map((await readCheckpoint(model)).weights));
    expect(
      [...weights].flatMap(([path, layer]) => layer.filter(isLazy).map((own) => `${path}/${own.name}`)),
    ).toEqual(["conv/kernel"]);
    const kernel = weights.get("conv")![0]!;
    expect(isTensor(kernel)).toBe(true);
    expect(kernel.data).not.toBe(kernel.data);
    expect(readdirSync(cache)).toEqual([]);
  },
);

test("a model file that is written over meanwhile does not reach the run, whose weights are a copy", async () => {
  const model = join(folder, "replaced.keras");
  await writeCheckpoint(model, wideNetwork({ side: 4, channels: 64, filters: 300, classes: 2 }));
  const before = (await readCheckpoint(model)).weights.get("conv")![0]!;
  const { weights } = await openModel(resolveOptions({ model, data, cache } as never));
  writeFileSync(model, "something else");
  expect(weights.get("conv")![0]!.data).toEqual(before.data);
});
