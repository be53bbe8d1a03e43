import type { Json } from "../../checkpoint.ts";
import { countAt } from "../config-values.ts";
import type { LayerSpec } from "../layer-spec.ts";
import { encoder } from "./encoded-indices.ts";
import { lookupSpecs } from "./lookups.ts";

/** @file Layers that map numbers or strings to integers and encode them (`keras/src/layers/preprocessing`). */

const discretization = encoder(
  "Discretization",
  { output_mode: "int" },
  (config) => (config["bin_boundaries"] as readonly Json[]).length + 1,
  ({ bin_boundaries }) =>
    Array.isArray(bin_boundaries)
      ? undefined
      : {
          reason: "its bin boundaries are not in the file",
          advice: "Pass bin_boundaries when you create the layer and save the model again.",
        },
);

const hashing = encoder("Hashing", { mask_value: null, salt: null, output_mode: "int" }, (config) =>
  countAt(config, "num_bins"),
);

/** HashedCrossing, which combines two columns of integers or strings. */
const hashedCrossing = encoder("HashedCrossing", { output_mode: "int" }, (config) =>
  countAt(config, "num_bins"),
);

/**
 * CategoryEncoding (`category_encoding.py`). The modes multi_hot and count encode the last axis of inputs of rank 1 or
 * 2.
 */
const categoryEncoding: LayerSpec = {
  ...encoder("CategoryEncoding", { output_mode: "multi_hot" }, (config) => countAt(config, "num_tokens")),
  outputDTypes: () => ["float32"],
};

export const encodingSpecs: readonly LayerSpec[] = [
  discretization,
  categoryEncoding,
  hashing,
  hashedCrossing,
  ...lookupSpecs,
];
