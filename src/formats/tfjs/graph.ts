import { dirname } from "node:path";
import type { Checkpoint, JsonObject } from "../../checkpoint.ts";
import { withErrorPrefix } from "../../topology/call-outputs.ts";
import { isObject } from "../../topology/config-values.ts";
import { extendedGraph } from "../../topology/tfjs-graph/extended-graph.ts";
import { graphAsModel } from "../../topology/tfjs-graph/graph-model.ts";
import { notesKey, readNotes, writeNotes } from "../notes.ts";
import type { ReadValues } from "../read-values.ts";
import { type PlacedWeight, readPlaced } from "../stored-weights.ts";
import { storedInManifest } from "./manifest.ts";
import { type TfjsTensors, tfjsTensors } from "./tensors.ts";

/**
 * @file Reads and writes tfjs graph models: a TensorFlow graph without layers, which is represented by one layer that
 * cannot train.
 */

/**
 * Reads the checkpoint of a graph model. @throws {KerasFileError | TopologyError} naming what is missing or does not
 * fit.
 */
export function readGraphModel(
  model: JsonObject,
  topology: JsonObject,
  path: string,
  values: ReadValues,
): Checkpoint {
  const stored = storedInManifest(model["weightsManifest"] ?? [], dirname(path), path);
  const byName = new Map(stored.map((weight) => [weight.name, weight]));
  const metadata = isObject(model["userDefinedMetadata"]) ? model["userDefinedMetadata"] : {};
  const signature = model["signature"] ?? metadata["signature"];
  const { modelConfig, weights } = withErrorPrefix(path, () =>
    graphAsModel(topology, isObject(signature) ? signature : undefined, stored),
  );
  const placed = [...weights].map(([layer, names]): [string, PlacedWeight[]] => [
    layer,
    [...names].map(([name, constant]) => ({ name, stored: byName.get(constant)! })),
  ]);
  return {
    format: "tfjs",
    kerasVersion: "3",
    modelConfig,
    weights: readPlaced({ weights: new Map(placed), problems: [] }, values, path),
    notes: readNotes(metadata[notesKey]),
  };
}

/** A graph model in the form of a model.json, its weights still in pieces. */
export interface GraphArtifacts extends TfjsTensors {
  readonly modelTopology: JsonObject;
  readonly signature: JsonObject;
  readonly userDefinedMetadata?: JsonObject;
}

/**
 * Converts a checkpoint to a graph model. @throws {TopologyError} naming a layer behind the graph that cannot become
 * part of it.
 */
export function graphArtifacts(checkpoint: Checkpoint): GraphArtifacts {
  const { nodes, constants, signature } = extendedGraph(checkpoint);
  const notes = writeNotes(checkpoint.notes);
  const tensors = constants.map(({ name, from }) => {
    if ("axes" in from) {
      const data = Int32Array.from(from.axes);
      return { name, dtype: "int32" as const, shape: [data.length], data };
    }
    const layer = checkpoint.weights.get(from.layer) ?? [];
    return { ...layer.find((weight) => weight.name === from.weight)!, name };
  });
  return {
    modelTopology: { node: nodes, library: {}, versions: { producer: 1645 } },
    signature,
    ...tfjsTensors(tensors),
    ...(notes && { userDefinedMetadata: { [notesKey]: notes } }),
  };
}
