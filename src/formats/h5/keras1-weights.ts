import type { JsonObject } from "../../checkpoint.ts";
import type { GraphLayer } from "../../topology/layer-graph.ts";
import type { StoredWeight } from "../stored-weights.ts";
import { joinedLast, squeezed, transposed } from "./rearranged.ts";

/**
 * @file Converts weights as Keras 1 stored them to the order and layout of Keras 2 and 3 (`keras/engine/topology.py` of
 * Keras 2, `preprocess_weights_for_loading`).
 */

/** A layer's class, with its config in Keras 3's vocabulary. */
interface Layer {
  readonly className: string;
  readonly config: JsonObject;
}

/**
 * Groups stored weights by layer path. Those of a nested model are told apart by the layer names that Keras 1 put
 * before each: `conv_W`. A weight that names no layer belongs to the first layer.
 */
export function ownedInKeras1(
  layers: readonly GraphLayer[],
  stored: readonly StoredWeight[],
): ReadonlyMap<string, readonly StoredWeight[]> {
  const [first, ...others] = layers;
  if (first && others.length === 0) return new Map([[first.path, stored]]);
  const owned = new Map<string, StoredWeight[]>(layers.map(({ path }) => [path, []]));
  for (const weight of stored) {
    const owner = ownerOf(layers, weight.name) ?? first;
    if (owner) owned.get(owner.path)?.push(weight);
  }
  return owned;
}

/** Returns the layer with the longest name that the weight's name begins with. */
function ownerOf(layers: readonly GraphLayer[], name: string): GraphLayer | undefined {
  let owner: GraphLayer | undefined;
  let longest = 0;
  for (const layer of layers) {
    for (const prefix of prefixesOf(layer)) {
      if (prefix.length <= longest || !name.startsWith(`${prefix}_`)) continue;
      owner = layer;
      longest = prefix.length;
    }
  }
  return owner;
}

/** Returns the names that a layer's weights may begin with. A wrapper's weights have the name of the layer inside. */
function prefixesOf({ name, config }: GraphLayer): readonly string[] {
  const inner = layerIn(config)?.config["name"];
  return typeof inner === "string" ? [name, inner, `forward_${inner}`, `backward_${inner}`] : [name];
}

function layerIn(config: JsonObject): Layer | undefined {
  const layer = config["layer"] as JsonObject | undefined;
  if (!layer || typeof layer["class_name"] !== "string") return undefined;
  return { className: layer["class_name"], config: (layer["config"] ?? {}) as JsonObject };
}

/** Returns a layer's weights in the form of Keras 2: gates joined, kernels as rows, columns, in, out. */
export function fromKeras1(
  { className, config }: Layer,
  stored: readonly StoredWeight[],
): readonly StoredWeight[] {
  const inner = layerIn(config);
  if (className === "Bidirectional" && inner) {
    const half = stored.length / 2;
    return [...fromKeras1(inner, stored.slice(0, half)), ...fromKeras1(inner, stored.slice(half))];
  }
  if (className === "TimeDistributed" && inner) return fromKeras1(inner, stored);
  const first = config["data_format"] === "channels_first";
  switch (className) {
    case "LSTM":
      return stored.length === 12 ? joinedGates(stored, [0, 6, 3, 9]) : stored;
    case "GRU":
      return stored.length === 9 ? joinedGates(stored, [0, 3, 6]) : stored;
    case "ConvLSTM2D": {
      const turned = first ? stored.map(channelsLastKernel) : stored;
      return stored.length === 12 ? joinedGates(turned, [0, 6, 3, 9]) : turned;
    }
    case "Conv1D":
      return stored.map((weight) => (weight.shape.length === 4 ? lineKernel(weight, config) : weight));
    case "Conv2D":
    case "Conv3D":
    case "SeparableConv2D":
      return first ? stored.map(channelsLastKernel) : stored;
    case "Conv2DTranspose":
      return stored.map((weight) =>
        weight.shape.length === 4 ? transposed(weight, first ? [2, 3, 0, 1] : [0, 1, 3, 2]) : weight,
      );
    default:
      return stored;
  }
}

/**
 * Joins kernels, recurrent kernels and biases of several gates.
 * @param starts Index of each gate's kernel, in the order wanted.
 */
function joinedGates(stored: readonly StoredWeight[], starts: readonly number[]): readonly StoredWeight[] {
  return [0, 1, 2].map((part) => joinedLast(starts.flatMap((start) => stored[start + part] ?? [])));
}

/** Converts out, in, rows, columns (, depth) to rows, columns (, depth), in, out. */
function channelsLastKernel(weight: StoredWeight): StoredWeight {
  const rank = weight.shape.length;
  if (rank < 4) return weight;
  return transposed(weight, [...Array.from({ length: rank - 2 }, (_, axis) => axis + 2), 1, 0]);
}

/** Removes the second axis of a kernel of length, 1, in, out; in earlier releases of out, in, length, 1. */
function lineKernel(weight: StoredWeight, config: JsonObject): StoredWeight {
  const [length] = [config["kernel_size"]].flat();
  const [first, second, , last] = weight.shape;
  const isCurrent = first === length && second === 1 && last === config["filters"];
  return squeezed(isCurrent ? weight : transposed(weight, [2, 3, 1, 0]), 1);
}
