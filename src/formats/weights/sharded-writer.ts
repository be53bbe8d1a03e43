import { writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Checkpoint } from "../../checkpoint.ts";
import { UsageError } from "../../errors.ts";
import { windowFile } from "../../hdf5/file-system.ts";
import { createHdf5, type Hdf5Writer } from "../../hdf5/writer.ts";
import { optionName } from "../../options.ts";
import { formatShape, type Tensor } from "../../tensor.ts";
import { replaceFile } from "../atomic-file.ts";
import { inDialect } from "../dialect-writing.ts";
import { writeVariables } from "../keras/variable-groups.ts";
import { modelTree } from "../model-tree.ts";
import { notesKey, writeNotes } from "../notes.ts";
import { stringifyPythonJson } from "../python-json.ts";

/** The ending of the map of weights in shards: `x.weights.json`. */
export const shardMapEnding = ".weights.json";

/** The default of Keras, 5 GB of 1024³ bytes (`keras/src/saving/saving_lib.py`, `ShardedH5IOStore`). */
const defaultShardBytes = 5 * 1024 ** 3;

type Write = (writer: Hdf5Writer) => void;

interface Shard {
  readonly name: string;
  readonly writes: Write[];
  bytes: number;
}

/**
 * Writes the weights alone as `model.save_weights(path, max_shard_size=…)` of Keras 3 does: the map at `path`, the
 * shards beside it. All are written to the disk before the first replaces an old file; the map comes last.
 * @param maxShardBytes The most bytes of weights in one shard.
 * @throws {UsageError} naming a weight that is larger.
 * @throws {TopologyError} as for `.keras`.
 */
export async function writeShardedWeights(
  path: string,
  original: Checkpoint,
  maxShardBytes: number = defaultShardBytes,
): Promise<void> {
  const checkpoint = inDialect(original, "keras3");
  const { shards, map } = shardsOf(checkpoint, basename(path, shardMapEnding), maxShardBytes, path);
  await replaceFile(path, async (descriptor) => {
    writeFileSync(descriptor, JSON.stringify(map, null, 4));
    await writeAll(dirname(path), shards);
  });
}

function shardsOf(checkpoint: Checkpoint, base: string, limit: number, path: string) {
  const shards: Shard[] = [];
  const places = new Map<string, string | string[]>();
  let total = 0;
  const begin = (): Shard => {
    const shard = {
      name: `${base}_${String(shards.length).padStart(5, "0")}.weights.h5`,
      writes: [],
      bytes: 0,
    };
    shards.push(shard);
    return shard;
  };
  const last = (): Shard => shards.at(-1)!;
  begin();
  const writer: Hdf5Writer = {
    group: (at) => last().writes.push((file) => file.group(at)),
    text: (at, name, value) => last().writes.push((file) => file.text(at, name, value)),
    textList: (at, name, values) => last().writes.push((file) => file.textList(at, name, values)),
    dataset: (at, tensor) => {
      const bytes = storedBytes(tensor);
      if (bytes > limit) {
        throw new UsageError(
          `${path}: ${at} ${formatShape(tensor.shape)}: expected at most ${limit.toLocaleString("en-US")} bytes, what a shard may take, got ${bytes.toLocaleString("en-US")}. Give a larger ${optionName("maxShardBytes")}.`,
          "shard-size",
          "maxShardBytes",
        );
      }
      const shard = last().bytes + bytes > limit ? begin() : last();
      shard.bytes += bytes;
      total += bytes;
      shard.writes.push((file) => file.dataset(at, tensor));
      const group = at.slice(0, at.lastIndexOf("/"));
      // Keras lists the shards of a group from its second weight on.
      const names = places.get(group);
      places.set(group, names === undefined ? shard.name : [...new Set([names, shard.name].flat())]);
    },
    close: () => undefined,
  };
  writeVariables(modelTree(checkpoint.modelConfig), checkpoint, writer);
  const notes = writeNotes(checkpoint.notes);
  if (notes) shards[0]!.writes.push((file) => file.text("/", notesKey, stringifyPythonJson(notes)));
  return { shards, map: { metadata: { total_size: total }, weight_map: Object.fromEntries(places) } };
}

/** Returns the size of a tensor in the file. Half-precision numbers are stored as float32. */
function storedBytes({ dtype, shape, data }: Tensor): number {
  const isHalf = dtype === "float16" || dtype === "bfloat16";
  return isHalf ? 4 * shape.reduce((product, size) => product * size, 1) : data.byteLength;
}

/** Writes each shard inside the write of the one before, so that none replaces an old file before all are written. */
async function writeAll(folder: string, shards: readonly Shard[]): Promise<void> {
  const [shard, ...others] = shards;
  if (!shard) return;
  const path = join(folder, shard.name);
  await replaceFile(path, async (descriptor) => {
    const writer = await createHdf5(windowFile(descriptor, 0, 0), path);
    try {
      for (const write of shard.writes) write(writer);
    } finally {
      writer.close();
    }
    await writeAll(folder, others);
  });
}
