import { textPreprocessorOf } from "../architectures/hub/text-preprocessor.ts";
import type { Checkpoint } from "../checkpoint.ts";
import type { StoredDataset } from "../data/dataset.ts";
import { isOneTensor } from "../data/dataset.ts";
import { tokenizerOf } from "../layers/tokenizers/known-tokenizers.ts";

/** The number of texts that are tokenized to say how many lose their end. */
const looked = 1000;

/** The texts of a run, as the model's own preprocessor prepares them. */
export interface TextInput {
  /** `BertTokenizer, 128 tokens a text`. */
  readonly preprocessing: string;
  readonly warning?: string;
}

/** Returns how texts become the model's input, null for a model without a preprocessor of its own. */
export function textInputOf(
  checkpoint: Pick<Checkpoint, "modelConfig" | "notes">,
  dataset?: StoredDataset,
): TextInput | null {
  const preprocessor = textPreprocessorOf(checkpoint);
  if (!preprocessor) return null;
  const { tokenizer, sequenceLength } = preprocessor;
  const preprocessing = `${tokenizer.className}, ${sequenceLength} tokens a text, longer ones are cut off`;
  const texts = dataset ? textsIn(dataset) : [];
  const { encode } = tokenizerOf(tokenizer);
  const longer = texts.filter((text) => encode(text).length > sequenceLength - 2).length;
  if (longer === 0) return { preprocessing };
  return {
    preprocessing,
    warning: `texts: ${longer} of ${texts.length} looked at have more than ${sequenceLength} tokens and lose their end. In Python set preprocessor.sequence_length and save the model again to read more of them.`,
  };
}

function textsIn(dataset: StoredDataset): readonly string[] {
  if (dataset.kind !== "arrays" || !isOneTensor(dataset.inputs) || dataset.inputs.dtype !== "string")
    return [];
  return dataset.inputs.data.slice(0, looked);
}
