import { activationKernels } from "./activations.ts";
import { attentionKernels } from "./attention.ts";
import { convolutionKernels } from "./convolution.ts";
import { convolutionTransposeKernels } from "./convolution-transpose.ts";
import { coreKernels } from "./core.ts";
import { customKernelOf } from "./custom-kernels.ts";
import { disentangledAttentionKernels } from "./disentangled-attention.ts";
import { einsumDenseKernels } from "./einsum-dense.ts";
import { embeddingKernels } from "./embedding.ts";
import { encodingKernels } from "./encoding.ts";
import { graphModelKernels } from "./graph-model.ts";
import { innerModelKernels } from "./inner-model.ts";
import type { Kernel } from "./kernel.ts";
import { mergingKernels } from "./merging.ts";
import { multiHeadKernels } from "./multi-head-attention.ts";
import { normalizationKernels } from "./normalization.ts";
import { acrossBatchKernels } from "./ops/across-batch.ts";
import { axisOpKernels } from "./ops/along-axes.ts";
import { arrayOpKernels } from "./ops/arrays.ts";
import { countingKernels } from "./ops/counting.ts";
import { decompositionKernels } from "./ops/decompositions.ts";
import { distinctKernels } from "./ops/distinct.ts";
import { elementwiseOpKernels } from "./ops/elementwise.ts";
import { imageOpKernels } from "./ops/images.ts";
import { layerOpKernels } from "./ops/layers.ts";
import { linearAlgebraKernels } from "./ops/linear-algebra.ts";
import { lossOpKernels } from "./ops/losses.ts";
import { movedImageKernels } from "./ops/moved-images.ts";
import { scatteringKernels } from "./ops/scattering.ts";
import { shapeOpKernels } from "./ops/shapes.ts";
import { shortTimeKernels } from "./ops/short-time-fourier.ts";
import { signalKernels } from "./ops/signals.ts";
import { spectralKernels } from "./ops/spectral-decompositions.ts";
import { packageKernels } from "./packages.ts";
import { pipelineKernels } from "./pipeline.ts";
import { poolingKernels } from "./pooling.ts";
import { preprocessingKernels } from "./preprocessing.ts";
import { randomImageKernels } from "./random-images/kernels.ts";
import { recurrentKernels } from "./recurrent/layers.ts";
import { regularizationKernels } from "./regularization.ts";
import { reshapingKernels } from "./reshaping.ts";
import { spectralNormalizationKernels } from "./spectral-normalization.ts";
import { spectrogramKernels } from "./spectrogram.ts";
import { textTokensKernels } from "./text-tokens.ts";
import { wrapperKernels } from "./wrappers.ts";

const kernels: ReadonlyMap<string, Kernel> = new Map(
  [
    acrossBatchKernels,
    activationKernels,
    arrayOpKernels,
    attentionKernels,
    axisOpKernels,
    convolutionKernels,
    convolutionTransposeKernels,
    coreKernels,
    countingKernels,
    decompositionKernels,
    distinctKernels,
    einsumDenseKernels,
    elementwiseOpKernels,
    encodingKernels,
    textTokensKernels,
    disentangledAttentionKernels,
    embeddingKernels,
    graphModelKernels,
    imageOpKernels,
    layerOpKernels,
    lossOpKernels,
    linearAlgebraKernels,
    mergingKernels,
    movedImageKernels,
    multiHeadKernels,
    normalizationKernels,
    innerModelKernels(kernelOf),
    packageKernels(kernelOf),
    pipelineKernels(kernelOf),
    poolingKernels,
    preprocessingKernels,
    randomImageKernels,
    recurrentKernels,
    regularizationKernels,
    reshapingKernels,
    scatteringKernels,
    shortTimeKernels,
    signalKernels,
    shapeOpKernels,
    spectralKernels,
    spectralNormalizationKernels(kernelOf),
    spectrogramKernels,
    wrapperKernels(kernelOf),
  ].flatMap((family) => Object.entries(family)),
);

/** Returns the function that computes layers of a class, undefined if there is none. */
export function kernelOf(className: string): Kernel | undefined {
  return kernels.get(className) ?? customKernelOf(className);
}

/** Returns the names of all classes that have a kernel without being registered. */
export function kernelClasses(): string[] {
  return [...kernels.keys()];
}
