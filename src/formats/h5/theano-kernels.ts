import type { JsonObject } from "../../checkpoint.ts";
import { KerasFileError } from "../../errors.ts";
import type { LayerGraph } from "../../topology/layer-graph.ts";
import type { PlacedWeight, Placement } from "../stored-weights.ts";
import { reversed } from "./rearranged.ts";

/**
 * @file Convolution kernels of models that ran on Theano, which flips them where TensorFlow does not
 * (`keras/engine/topology.py` of Keras 2, `_convert_kernel`).
 */

/** The number of spatial axes of the kernels that are flipped, by layer class. */
const turned: Readonly<Record<string, number>> = {
  Conv1D: 1,
  Conv2D: 2,
  Conv3D: 3,
  Conv2DTranspose: 2,
  ConvLSTM2D: 2,
};

const kernels: ReadonlySet<string> = new Set([
  "kernel",
  "recurrent_kernel",
  "cell/kernel",
  "cell/recurrent_kernel",
]);

/**
 * Returns the placement with kernels flipped to TensorFlow's orientation.
 * @throws {KerasFileError} naming a layer whose padding "same" means something else on Theano.
 */
export function fromTheano(placement: Placement, graph: LayerGraph, label: string): Placement {
  const weights = new Map(placement.weights);
  for (const { path, className, config } of graph.layers) {
    const inner = innermost(className, config);
    refuseOtherPadding(inner, `${label}: ${path}`);
    const rank = turned[inner.className];
    const placed = weights.get(path);
    if (rank === undefined || !placed) continue;
    weights.set(
      path,
      placed.map(({ name, stored }): PlacedWeight => {
        const own = name.replace(/^layer\//, "");
        return { name, stored: kernels.has(own) ? reversed(stored, rank) : stored };
      }),
    );
  }
  return { ...placement, weights };
}

interface Layer {
  readonly className: string;
  readonly config: JsonObject;
}

function innermost(className: string, config: JsonObject): Layer {
  const layer = className === "TimeDistributed" ? (config["layer"] as JsonObject | undefined) : undefined;
  return layer
    ? innermost(String(layer["class_name"]), layer["config"] as JsonObject)
    : { className, config };
}

/**
 * Refuses padding that differs: Theano pads both sides equally, TensorFlow as needed. They agree for odd windows with
 * strides of 1.
 */
function refuseOtherPadding({ className, config }: Layer, where: string): void {
  if (config["padding"] !== "same" || !/^(Conv|MaxPooling|AveragePooling|Separable)/.test(className)) return;
  const sizes = [config["kernel_size"] ?? config["pool_size"] ?? 1].flat();
  const strides = [config["strides"] ?? sizes].flat();
  if (sizes.every((size) => Number(size) % 2 === 1) && strides.every((stride) => stride === 1)) return;
  throw new KerasFileError(
    `${where}: ${className}: padding "same" on Theano, with which Keras saved this file: expected odd windows and strides of 1, where it is TensorFlow's, got windows ${JSON.stringify(sizes)} and strides ${JSON.stringify(strides)}. Put a ZeroPadding layer before a layer without padding, and save again.`,
    "theano-padding",
  );
}
