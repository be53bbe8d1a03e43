import type { Json } from "../../checkpoint.ts";
import { countAt } from "../config-values.ts";
import type { LayerSpec } from "../layer-spec.ts";
import { encoder } from "./encoded-indices.ts";
import { lookupSpecs } from "./lookups.ts";

/** Layers that make whole numbers of numbers or texts, and rows of zeros and ones of those (`keras/src/layers/preprocessing`). */

const discretization = encoder(
  "Discretization",
  { output_mode: "int" },
  (config) => (config["bin_boundaries"] as readonly Json[]).length + 1,
  ({ bin_boundaries }) =>
    Array.isArray(bin_boundaries)
      ? undefined
      : {
          reason: "its bin boundaries are not in the file",
          advice: "Give it bin_boundaries when it is made and save again.",
        },
);

const hashing = encoder("Hashing", { mask_value: null, salt: null, output_mode: "int" }, (config) =>
  countAt(config, "num_bins"),
);

/** Two columns of whole numbers or texts as one. */
const hashedCrossing = encoder("HashedCrossing", { output_mode: "int" }, (config) =>
  countAt(config, "num_bins"),
);

/** `category_encoding.py`: multi_hot and count run over the last axis, of inputs of rank 1 or 2. */
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
