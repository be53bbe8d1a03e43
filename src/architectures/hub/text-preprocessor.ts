/** @file The preprocessor of a text classifier of KerasHub: where it stands, and the model that takes texts in place of token ids. */
import type { Checkpoint, Json, JsonObject } from "../../checkpoint.ts";
import { isObject } from "../../topology/config-values.ts";
import { entryName, layersOf, withConfig, withLayers } from "../../topology/edit-config.ts";
import { argumentsKey } from "../../topology/hub-keys.ts";
import { hubArguments } from "./hub-models.ts";

/** Names of the tensors that KerasHub's preprocessors make of texts. */
const partNames: readonly string[] = ["padding_mask", "segment_ids", "token_ids"];

/** Name of the input of texts. */
const textName = "text";

/** Key of the entry that stood there before the model took texts. */
const formerKey = "kerashub_former";

/** A preprocessor's arguments, with its tokenizer's among them. */
export interface TextPreprocessor {
  readonly tokenizer: { readonly className: string; readonly config: JsonObject };
  /** Tokens of each text, special ones and those that fill it up among them. */
  readonly sequenceLength: number;
}

/** Returns the entry of the preprocessor of a text classifier, undefined if the model has none. */
export function preprocessorEntry({
  modelConfig,
  notes,
}: Pick<Checkpoint, "modelConfig" | "notes">): JsonObject | undefined {
  const own = hubArguments(modelConfig)?.["preprocessor"] ?? notes.preprocessor ?? null;
  return isObject(own) && /TextClassifierPreprocessor$/.test(String(own["class_name"])) ? own : undefined;
}

/** Returns the preprocessor of a text classifier, undefined if the model has none, or none with a vocabulary. */
export function textPreprocessorOf(
  checkpoint: Pick<Checkpoint, "modelConfig" | "notes">,
): TextPreprocessor | undefined {
  const config = preprocessorEntry(checkpoint)?.["config"] ?? null;
  const tokenizer = isObject(config) ? (config["tokenizer"] ?? null) : null;
  if (!isObject(config) || !isObject(tokenizer)) return undefined;
  const own = tokenizer["config"] ?? null;
  if (!isObject(own) || (own["vocabulary"] ?? own["proto"] ?? null) === null) return undefined;
  const length = config["sequence_length"];
  return {
    tokenizer: { className: String(tokenizer["class_name"]), config: own },
    sequenceLength: typeof length === "number" ? length : 512,
  };
}

/**
 * Returns the model with one input of texts, which its preprocessor makes token ids of, in place of the inputs of token ids; a model
 * without a preprocessor is returned as it is. The layers keep their paths.
 */
export function withTextInput(checkpoint: Checkpoint): Checkpoint {
  const { modelConfig } = checkpoint;
  const preprocessor = textPreprocessorOf(checkpoint);
  const names = (layersOf(modelConfig) ?? []).filter(isObject).map(entryName);
  if (!preprocessor || !names.includes("token_ids") || names.includes(textName)) return checkpoint;
  const { tokenizer, sequenceLength } = preprocessor;
  const input: JsonObject = {
    module: "keras.layers",
    class_name: "InputLayer",
    config: { batch_shape: [null], dtype: "string", sparse: false, name: textName },
    registered_name: null,
    name: textName,
    inbound_nodes: [],
  };
  const text = { class_name: "__keras_tensor__", config: { shape: [null], keras_history: [textName, 0, 0] } };
  const edited = withLayers(modelConfig, (layers) => [
    input,
    ...layers.map((layer) => {
      if (!isObject(layer) || layer["class_name"] !== "InputLayer") return layer;
      const name = entryName(layer);
      if (!partNames.includes(name)) return layer;
      const config = {
        name,
        trainable: true,
        dtype: "int32",
        part: name,
        sequence_length: sequenceLength,
        tokenizer: { class_name: tokenizer.className, config: tokenizer.config },
      };
      return {
        class_name: "TextTokens",
        config,
        name,
        inbound_nodes: [{ args: [text], kwargs: {} }],
        [formerKey]: layer,
      };
    }),
  ]);
  const config = edited["config"] as JsonObject;
  const former = config["input_layers"] ?? null;
  return {
    ...checkpoint,
    modelConfig: {
      ...edited,
      config: { ...config, input_layers: [textName, 0, 0] },
      [formerKey]: former,
    },
  };
}

/** Returns the model that takes token ids again, as it was before {@link withTextInput}. */
export function withoutTextInput(checkpoint: Checkpoint): Checkpoint {
  const { modelConfig } = checkpoint;
  const { [formerKey]: former, ...rest } = modelConfig;
  if (former === undefined) return checkpoint;
  const edited = withLayers(rest, (layers) =>
    layers.flatMap((layer): readonly Json[] => {
      if (!isObject(layer)) return [layer];
      if (entryName(layer) === textName) return [];
      return [layer[formerKey] ?? layer];
    }),
  );
  const config = edited["config"] as JsonObject;
  return { ...checkpoint, modelConfig: { ...edited, config: { ...config, input_layers: former } } };
}

/** Returns the model with the number of tokens that its preprocessor makes of each text; one without a preprocessor as it is. */
export function withSequenceLength(checkpoint: Checkpoint): Checkpoint {
  const length = textPreprocessorOf(checkpoint)?.sequenceLength;
  if (length === undefined) return checkpoint;
  const modelConfig = withLayers(checkpoint.modelConfig, (layers) =>
    layers.map((layer) => {
      if (!isObject(layer) || layer["class_name"] !== "InputLayer") return layer;
      if (!partNames.includes(entryName(layer))) return layer;
      return withConfig(layer, { batch_shape: [null, length] });
    }),
  );
  return { ...checkpoint, modelConfig };
}

/** Returns the checkpoint with its preprocessor among the notes, where a plain model keeps it. */
export function withPreprocessorNoted(checkpoint: Checkpoint): Checkpoint {
  if (!(argumentsKey in checkpoint.modelConfig)) return checkpoint;
  const entry = preprocessorEntry(checkpoint);
  if (!entry || !textPreprocessorOf(checkpoint)) return checkpoint;
  return { ...checkpoint, notes: { ...checkpoint.notes, preprocessor: entry } };
}
