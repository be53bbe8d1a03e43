import type { Notes, PreprocessMode } from "../checkpoint.ts";
import { type LayerGraph, layerAt } from "../topology/layer-graph.ts";
import { familyOf } from "./families.ts";

export interface DetectedPreprocess {
  readonly mode: PreprocessMode;
  /** What the mode follows from: the file's notes, a layer at the input, the family's habit, or nothing. */
  readonly source: "notes" | "layer" | "family" | "unknown";
  /** Name of the layer, or of the family. */
  readonly because?: string;
  readonly warning?: string;
}

/**
 * How the model's pictures are to be prepared: as the notes in its file say; else not at all if a layer at its input does it; else
 * as its family does; else not at all, with a warning.
 */
export function detectPreprocess(graph: LayerGraph, notes: Notes): DetectedPreprocess {
  if (notes.preprocess) return { mode: notes.preprocess, source: "notes" };
  const layer = preprocessingLayer(graph);
  if (layer) return { mode: "none", source: "layer", because: layer };
  const family = familyOf(graph);
  if (family) return { mode: family.preprocess, source: "family", because: family.name };
  return {
    mode: "none",
    source: "unknown",
    warning: `${graph.name}: its preprocessing is not known: its layers are named like no known family, and none at its input rescales. Pixels go in as 0-255. Pass --preprocess caffe, tf or torch if it was trained otherwise.`,
  };
}

/** Layers that leave the values of pixels as they are, or that training alone applies. */
const passesPixels =
  /^(InputLayer|Identity|Dropout|ZeroPadding2D|Cropping2D|CenterCrop|Resizing|Reshape|Permute|Random\w+|Gaussian\w+|RandAugment|AugMix|AutoContrast|Pipeline)$/;

/** Arithmetic on pixels, as `preprocess_input` leaves it in a functional model. */
const arithmetic =
  /^(ops\.(TrueDivide|Divide|Subtract|Add|Multiply|Stack|Flip|GetItem|Take)|TFOpLambda|SlicingOpLambda|TensorFlowOpLayer|Lambda)$/;

/** Path of the first layer before any with weights that rescales or normalizes the pixels. */
function preprocessingLayer(graph: LayerGraph): string | undefined {
  const pixels = new Set(graph.inputs.map(({ ref }) => ref.node));
  for (const node of graph.nodes) {
    if (!pixels.has(node.index) && !node.inputs.some((ref) => pixels.has(ref.node))) continue;
    const { path, className } = layerAt(graph, node.layer);
    if (/^(Rescaling|Normalization)$/.test(className) || arithmetic.test(className)) return path;
    if (passesPixels.test(className)) pixels.add(node.index);
  }
  return undefined;
}
