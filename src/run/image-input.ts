import { converterWarning, otherPreprocessing } from "../architectures/hub/image-converter.ts";
import type { Checkpoint } from "../checkpoint.ts";
import type { StoredDataset } from "../data/dataset.ts";
import type { ImageOptions } from "../data/images.ts";
import { detectPreprocess } from "../data/input-images.ts";
import { fileReader, imageInput } from "../data/model-files.ts";
import type { SampleReader } from "../data/sample-reader.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";
import type { RunSettings } from "./settings.ts";

/** The images of a run, as the model is fed with them. */
export interface ImageInput extends Required<ImageOptions> {
  /** `ResNet by its layer names`, `as asked`. */
  readonly reason: string;
  readonly warning?: string;
}

/** Returns the reader of a dataset's files, and how images become the model's input; null for other data. */
export function inputOf(
  dataset: StoredDataset,
  graph: LayerGraph,
  { notes, modelConfig }: Checkpoint,
  { imageSize, preprocess, exif }: RunSettings,
): { readonly reader: SampleReader | null; readonly image: ImageInput | null } {
  if (dataset.kind === "arrays") return { reader: null, image: null };
  const asked = { imageSize: imageSize === "auto" ? undefined : imageSize, preprocess, exif };
  const reader = fileReader(dataset.kind, graph, notes, asked);
  if (dataset.kind === "texts") return { reader, image: null };
  const input = imageInput(graph, notes, asked);
  const detected = detectPreprocess(graph, notes);
  const reason = input.preprocess === detected.mode ? detected.reason : "as asked";
  const warning =
    preprocess === "auto"
      ? (detected.warning ?? converterWarning(modelConfig))
      : otherPreprocessing(modelConfig, input.preprocess);
  const image = {
    ...input,
    reason: input.crop ? `${reason}; cropped to the input's proportions` : reason,
    ...(warning !== undefined && { warning }),
  };
  return { reader, image };
}
