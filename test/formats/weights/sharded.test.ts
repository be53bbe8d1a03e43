import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { readCheckpoint, writeCheckpoint } from "../../../src/formats/checkpoint-file.ts";
import { placeVariables } from "../../../src/formats/keras/variable-groups.ts";
import { layerSlots } from "../../../src/formats/layer-slots.ts";
import { modelTree } from "../../../src/formats/model-tree.ts";
import { readPlaced } from "../../../src/formats/stored-weights.ts";
import { mergedGroup } from "../../../src/formats/virtual-groups.ts";
import { type Hdf5Group, openHdf5 } from "../../../src/hdf5/reader.ts";
import { scratch } from "../../hdf5/temporary.ts";
import { modelPath } from "../model-fixtures.ts";

const map = "fixtures/sharded/small_resnet.weights.json";

test("weights in shards equal those of the whole file, including a layer spread over two shards", async () => {
  const whole = await readCheckpoint("fixtures/cli/small_resnet.keras");
  const { weight_map: places } = JSON.parse(readFileSync(map, "utf8")) as {
    weight_map: Record<string, string[]>;
  };
  expect(Object.values(places).some((shards) => shards.length > 1)).toBe(true);
  const shards = [...new Set(Object.values(places).flat())];
  const files = await Promise.all(shards.map((name) => openHdf5(join("fixtures/sharded", name))));
  const root = mergedGroup(files.map((file) => file.root));
  const placement = placeVariables(modelTree(whole.modelConfig), layerSlots(whole), root);
  expect(readPlaced(placement, true, map)).toEqual(whole.weights);
  for (const file of files) file.close();
});

test("weights in shards and an architecture make a model", async () => {
  const whole = await readCheckpoint(modelPath("k3-resnet50.keras"));
  const folder = scratch();
  await writeCheckpoint(join(folder, "one.weights.h5"), whole);
  const path = join(folder, "one.weights.json");
  writeFileSync(path, JSON.stringify({ metadata: {}, weight_map: { "/vars": "one.weights.h5" } }));
  const { weights, format } = await readCheckpoint(path, { arch: "resnet50" });
  expect(format).toBe("weights.h5");
  expect([...weights.values()]).toEqual([...whole.weights.values()]);
});

test("weights in shards without an architecture are refused with the option to pass", async () => {
  await expect(readCheckpoint(map)).rejects.toThrow(
    /small_resnet\.weights\.json has weights but no model_config .* Pass arch/,
  );
});

async function writtenShards(maxShardBytes: number) {
  const path = join(scratch(), "small_resnet.weights.json");
  await writeCheckpoint(path, await readCheckpoint("fixtures/cli/small_resnet.keras"), { maxShardBytes });
  return { path, json: JSON.parse(readFileSync(path, "utf8")) as unknown };
}

test("the written map of shards equals the one that Keras writes", async () => {
  const { path, json } = await writtenShards(9_600);
  expect(json).toEqual(JSON.parse(readFileSync(map, "utf8")));
  const names = (folder: string): string[] => readdirSync(folder).sort();
  expect(names(dirname(path))).toEqual(names(dirname(map)));
});

test("each written shard holds the same as Keras's", async () => {
  const { path } = await writtenShards(9_600);
  for (const name of readdirSync("fixtures/sharded").filter((name) => name.endsWith(".h5"))) {
    const [theirs, ours] = await Promise.all([
      openHdf5(join("fixtures/sharded", name)),
      openHdf5(join(dirname(path), name)),
    ]);
    expect(datasetsBelow(ours.root)).toEqual(datasetsBelow(theirs.root));
    theirs.close();
    ours.close();
  }
});

test("a weight larger than a shard is refused by name, and nothing is written", async () => {
  const folder = scratch();
  const checkpoint = await readCheckpoint("fixtures/cli/small_resnet.keras");
  await expect(
    writeCheckpoint(join(folder, "x.weights.json"), checkpoint, { maxShardBytes: 500 }),
  ).rejects.toThrow(
    /x\.weights\.json: \/layers\/\S+ \[[\d,]+\]: expected at most 500 bytes, what a shard may take, got [\d,]+\. Give a larger maxShardBytes\./,
  );
  expect(readdirSync(folder)).toEqual([]);
});

test("only a .weights.json takes a shard size", async () => {
  const checkpoint = await readCheckpoint("fixtures/cli/small_resnet.keras");
  await expect(
    writeCheckpoint(join(scratch(), "x.keras"), checkpoint, { maxShardBytes: 500 }),
  ).rejects.toThrow(/expected a name that ends in \.weights\.json with a shard size/);
});

function datasetsBelow(group: Hdf5Group, isVariables = false): Record<string, unknown> {
  const found = group.keys().flatMap((name): [string, unknown][] => {
    if (isVariables) return [[`${group.path}/${name}`, group.dataset(name)!.read()]];
    return Object.entries(datasetsBelow(group.group(name)!, name === "vars"));
  });
  return Object.fromEntries(found);
}

function copied(change: (folder: string, text: string) => string | undefined): string {
  const folder = join(scratch(), "sharded");
  cpSync("fixtures/sharded", folder, { recursive: true });
  const path = join(folder, "small_resnet.weights.json");
  writeFileSync(path, change(folder, readFileSync(path, "utf8")) ?? readFileSync(path));
  return path;
}

test("a missing shard is named", async () => {
  const path = copied((folder) => {
    rmSync(join(folder, "small_resnet_00001.weights.h5"));
    return undefined;
  });
  await expect(readCheckpoint(path, { arch: "resnet50" })).rejects.toThrow(
    /small_resnet_00001\.weights\.h5: no such file or directory/,
  );
});

test("a shard outside of the folder is refused", async () => {
  const path = copied((_, text) => text.replaceAll("small_resnet_00001", "../small_resnet_00001"));
  await expect(readCheckpoint(path, { arch: "resnet50" })).rejects.toThrow(
    /weight_map: expected names of files beside it, got "\.\.\/small_resnet_00001\.weights\.h5"\. Refused/,
  );
});
