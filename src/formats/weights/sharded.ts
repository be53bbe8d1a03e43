import { dirname, join } from "node:path";
import type { Architecture } from "../../architectures/architecture.ts";
import type { Checkpoint, JsonObject } from "../../checkpoint.ts";
import { KerasFileError } from "../../errors.ts";
import { type Hdf5File, type Hdf5Group, openHdf5 } from "../../hdf5/reader.ts";
import { withTimeLimit } from "../../hdf5/time-limit.ts";
import { isObject } from "../../topology/config-values.ts";
import type { DescribedModel } from "../format.ts";
import type { ReadValues } from "../read-values.ts";
import { mergedGroup } from "../virtual-groups.ts";
import { readWeightsOnly } from "./weights-only.ts";

/**
 * @file Reads weights in shards, `x.weights.json` and beside it `x_00000.weights.h5` and so on
 * (`keras/src/saving/saving_lib.py`, `ShardedH5IOStore`). The map lists the shards that hold a layer's variables.
 */

/** Returns true if a JSON file is the map of weights in shards. */
export function isShardMap(json: JsonObject): boolean {
  return isObject(json["weight_map"]);
}

/**
 * Reads the weights in shards into a network.
 * @param path Path of the map.
 * @throws {KerasFileError | UsageError} as for weights in one file, and for a shard that is missing or lies elsewhere.
 */
export function readShardedWeights(
  map: JsonObject,
  path: string,
  network: Architecture | DescribedModel | undefined,
  values: ReadValues,
): Promise<Checkpoint> {
  return withShards(map, path, (root) => readWeightsOnly({ root }, path, network, values));
}

/**
 * Opens the shards of a map at `path` and returns what `read` makes of them as one file.
 * @throws {KerasFileError} for a shard that is missing or lies elsewhere.
 */
export async function withShards<Result>(
  map: JsonObject,
  path: string,
  read: (root: Hdf5Group) => Result,
): Promise<Result> {
  const files: Hdf5File[] = [];
  try {
    for (const name of shardNames(map, path)) files.push(await openHdf5(join(dirname(path), name)));
    const root = mergedGroup(files.map((file) => file.root));
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    return withTimeLimit(path, bytes, () => read(root));
  } finally {
    for (const file of files) file.close();
  }
}

function shardNames({ weight_map: map = null }: JsonObject, path: string): readonly string[] {
  const names = new Set(Object.values(isObject(map) ? map : {}).flat());
  return [...names].map((name) => {
    if (typeof name === "string" && !/[/\\]|^\.\.?$/.test(name)) return name;
    throw new KerasFileError(
      `${path}: weight_map: expected names of files beside it, got ${JSON.stringify(name)}. Refused.`,
      "structure",
    );
  });
}
