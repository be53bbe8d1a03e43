import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Checkpoint } from "../../checkpoint.ts";
import { UsageError } from "../../errors.ts";
import { holdsGraph } from "../../topology/tfjs-graph/graph-model.ts";
import { replaceFile, replaceFolder } from "../atomic-file.ts";
import { stringifyPythonJson } from "../python-json.ts";
import { tfjsArtifacts } from "./artifacts.ts";
import { graphArtifacts } from "./graph.ts";

/** The size of a shard in bytes, as in tensorflowjs_converter: browsers cache files of this size. */
const shardBytes = 4 * 2 ** 20;

export const modelJsonName = "model.json";

/**
 * Writes a folder that `tf.loadLayersModel` opens, or `tf.loadGraphModel` if the model came from a graph: model.json
 * and the weights in shards of 4 MB.
 * @throws {TopologyError} naming the layer that tfjs-layers, or the graph, cannot represent.
 * @throws {UsageError} if the folder holds anything but such a model.
 */
export async function writeTfjsFolder(path: string, checkpoint: Checkpoint): Promise<void> {
  const isGraph = holdsGraph(checkpoint.modelConfig);
  const { specs, chunks, ...model } = isGraph ? graphArtifacts(checkpoint) : tfjsArtifacts(checkpoint);
  refuseOthers(path);
  await replaceFolder(path, async (folder) => {
    const shards = cut(chunks);
    const names = shards.map((_, index) => `group1-shard${index + 1}of${shards.length}.bin`);
    for (const [index, shard] of shards.entries()) await writeFile(join(folder, names[index]!), shard);
    const json = {
      format: isGraph ? "graph-model" : "layers-model",
      generatedBy: "keras-finetune",
      convertedBy: null,
      ...model,
      weightsManifest: [{ paths: names, weights: specs.map((spec) => ({ ...spec })) }],
    };
    await writeFile(join(folder, modelJsonName), [Buffer.from(stringifyPythonJson(json))]);
  });
}

function refuseOthers(path: string): void {
  const names = existsSync(path) ? readdirSync(path) : [];
  const other = names.find((name) => name !== modelJsonName && !name.endsWith(".bin"));
  if (other === undefined) return;
  throw new UsageError(
    `${path}: output: expected a new folder or one that holds a tfjs model alone, got one with ${other}. Choose another.`,
    "out-exists",
  );
}

async function writeFile(path: string, chunks: readonly Uint8Array[]): Promise<void> {
  await replaceFile(path, async (descriptor) => {
    for (const chunk of chunks) writeFileSync(descriptor, chunk);
  });
}

/** Cuts the bytes of all chunks into shards without copying them. */
function cut(chunks: readonly Uint8Array[]): readonly (readonly Uint8Array[])[] {
  const shards: Uint8Array[][] = [];
  let room = 0;
  for (const chunk of chunks) {
    for (let from = 0; from < chunk.length; ) {
      if (room === 0) {
        shards.push([]);
        room = shardBytes;
      }
      const part = chunk.subarray(from, from + room);
      shards.at(-1)!.push(part);
      from += part.length;
      room -= part.length;
    }
  }
  return shards;
}
