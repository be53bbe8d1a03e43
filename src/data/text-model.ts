import {
  preprocessorEntry,
  textPreprocessorOf,
  withTextInput,
} from "../architectures/hub/text-preprocessor.ts";
import type { Checkpoint } from "../checkpoint.ts";
import { UsageError } from "../errors.ts";
import { isObject } from "../topology/config-values.ts";
import { entryName, layersOf } from "../topology/edit-config.ts";
import type { Dataset } from "./dataset.ts";
import { isOneTensor } from "./dataset.ts";

/**
 * Returns a model that takes token ids as one that takes texts, through the tokenizer that its file holds; any other model is returned
 * as it is. @throws {UsageError} for a model of token ids whose file has no tokenizer, or one without its vocabulary.
 */
export function textModel(checkpoint: Checkpoint): Checkpoint {
  const names = (layersOf(checkpoint.modelConfig) ?? []).filter(isObject).map(entryName);
  const takesTokens = ["token_ids", "padding_mask"].every((name) => names.includes(name));
  if (!takesTokens || textPreprocessorOf(checkpoint)) return withTextInput(checkpoint);
  const what = preprocessorEntry(checkpoint) ? "the vocabulary of its tokenizer" : "a tokenizer";
  throw new UsageError(
    `model: expected a file with ${what}, got one without, which takes token ids alone. Take the .keras or the preset folder that KerasHub saves of a classifier with its preprocessor, or pass ids as arrays.`,
    "no-tokenizer",
    "model",
  );
}

/** Returns the model as it takes this data: texts where the data is a path, files of texts or an array of texts. */
export function servingData(checkpoint: Checkpoint, data: string | Dataset): Checkpoint {
  if (typeof data === "string") return textModel(checkpoint);
  if (data.kind === "texts") return textModel(checkpoint);
  if (data.kind !== "arrays") return checkpoint;
  return isOneTensor(data.inputs) && data.inputs.dtype === "string" ? textModel(checkpoint) : checkpoint;
}
