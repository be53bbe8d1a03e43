import { countAt } from "../config-values.ts";
import type { LayerSpec } from "../layer-spec.ts";

/**
 * TextTokens, a part of what a preprocessor of KerasHub makes of texts (`keras_hub/src/models/text_classifier_preprocessor.py`):
 * `token_ids`, `padding_mask` or `segment_ids`. It stands for the model's inputs while a run reads texts, and is never written.
 */
const textTokens: LayerSpec = {
  className: "TextTokens",
  defaults: {},
  outputShapes: ({ config, inputs }) => [[inputs[0][0] ?? null, countAt(config, "sequence_length")]],
  outputDTypes: () => ["int32"],
};

export const textTokensSpecs: readonly LayerSpec[] = [textTokens];
