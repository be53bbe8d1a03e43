import type { CallInputs } from "./call-outputs.ts";
import { outputsOfCall } from "./call-outputs.ts";
import { customSpecOf } from "./custom-layers.ts";
import type { GraphLayer, TensorSpec } from "./layer-graph.ts";
import type { LayerSpec } from "./layer-spec.ts";
import { activationSpecs } from "./specs/activation.ts";
import { applicationSpecs } from "./specs/applications.ts";
import { attentionSpecs } from "./specs/attention.ts";
import { augmentationSpecs } from "./specs/augmentation.ts";
import { convLstmSpecs } from "./specs/conv-lstm.ts";
import { convolutionSpecs } from "./specs/convolution.ts";
import { convolutionTransposeSpecs } from "./specs/convolution-transpose.ts";
import { coreSpecs } from "./specs/core.ts";
import { denseSpecs } from "./specs/dense.ts";
import { disentangledAttentionSpecs } from "./specs/disentangled-attention.ts";
import { einsumDenseSpecs } from "./specs/einsum-dense.ts";
import { embeddingSpecs } from "./specs/embedding.ts";
import { encodingSpecs } from "./specs/encoding.ts";
import { graphModelSpec } from "./specs/graph-model.ts";
import { innerModelSpec } from "./specs/inner-model.ts";
import { mergingSpecs } from "./specs/merging.ts";
import { normalizationSpecs } from "./specs/normalization.ts";
import { acrossBatchOpSpecs } from "./specs/ops-across-batch.ts";
import { arrayOpSpecs } from "./specs/ops-arrays.ts";
import { contractionOpSpecs } from "./specs/ops-contractions.ts";
import { decompositionOpSpecs } from "./specs/ops-decompositions.ts";
import { elementwiseOpSpecs } from "./specs/ops-elementwise.ts";
import { imageTransformOpSpecs } from "./specs/ops-image-transforms.ts";
import { layerOpSpecs } from "./specs/ops-layers.ts";
import { reductionOpSpecs } from "./specs/ops-reductions.ts";
import { shapeOpSpecs } from "./specs/ops-shapes.ts";
import { signalOpSpecs } from "./specs/ops-signals.ts";
import { packageSpecs } from "./specs/packages.ts";
import { paddingSpecs } from "./specs/padding.ts";
import { pipelineSpec } from "./specs/pipeline.ts";
import { poolingSpecs, windowOpSpecs } from "./specs/pooling.ts";
import { preprocessingSpecs } from "./specs/preprocessing.ts";
import { rearrangeSpecs } from "./specs/rearrange.ts";
import { recurrentSpecs } from "./specs/recurrent.ts";
import { regularizationSpecs } from "./specs/regularization.ts";
import { reshapingSpecs } from "./specs/reshaping.ts";
import { spectralNormalizationSpec } from "./specs/spectral-normalization.ts";
import { spectrogramSpecs } from "./specs/spectrogram.ts";
import { wrapperSpecs } from "./specs/wrappers.ts";

const specs: ReadonlyMap<string, LayerSpec> = new Map(
  [
    coreSpecs,
    convolutionSpecs,
    convolutionTransposeSpecs,
    denseSpecs,
    normalizationSpecs,
    poolingSpecs,
    activationSpecs,
    mergingSpecs,
    reshapingSpecs,
    paddingSpecs,
    regularizationSpecs,
    preprocessingSpecs,
    encodingSpecs,
    augmentationSpecs,
    applicationSpecs,
    elementwiseOpSpecs,
    reductionOpSpecs,
    shapeOpSpecs,
    contractionOpSpecs,
    decompositionOpSpecs,
    imageTransformOpSpecs,
    arrayOpSpecs,
    acrossBatchOpSpecs,
    rearrangeSpecs,
    signalOpSpecs,
    layerOpSpecs,
    windowOpSpecs,
    embeddingSpecs,
    attentionSpecs,
    disentangledAttentionSpecs,
    einsumDenseSpecs,
    recurrentSpecs,
    convLstmSpecs,
    spectrogramSpecs,
    graphModelSpec,
    wrapperSpecs(specOf),
    innerModelSpec(specOf),
    packageSpecs(specOf),
    pipelineSpec(specOf),
    spectralNormalizationSpec(specOf),
  ]
    .flat()
    .map((spec) => [spec.className, spec]),
);

/**
 * Returns the spec of a layer class by its name in Keras 3 (`Conv2D`, `ops.Add`) or of a registered class, undefined
 * for an unknown class.
 */
export function specOf(className: string): LayerSpec | undefined {
  return specs.get(className) ?? customSpecOf(className);
}

/** Returns whether a class is computed without being registered. */
export function isBuiltIn(className: string): boolean {
  return specs.has(className);
}

/** Lists the classes that are computed without being registered. */
export function knownLayerClasses(): readonly string[] {
  return [...specs.keys()];
}

/**
 * Returns whether a layer draws random numbers in training. Dropout and noise of 0 draw none, nor do recurrent layers
 * without dropout.
 */
export function isRandomLayer({ className, config }: Pick<GraphLayer, "className" | "config">): boolean {
  const spec = specOf(className);
  if (spec?.randomWith?.(config)) return true;
  return spec?.random === true && config["rate"] !== 0 && config["stddev"] !== 0;
}

/**
 * Infers the shapes and dtypes of a call's outputs by the spec of the layer's class. @throws {TopologyError} if its
 * inputs do not fit.
 */
export function outputSpecs(layer: GraphLayer, call: CallInputs): readonly TensorSpec[] {
  return outputsOfCall(specOf(layer.className), layer, call);
}
