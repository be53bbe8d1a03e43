import type { GradientRule } from "../gradients/rule.ts";
import { activationKernels } from "./activations.ts";
import { batchNormalizationKernels } from "./batch-normalization.ts";
import { convolutionKernels } from "./convolution.ts";
import { gruKernels } from "./gru.ts";
import { lstmKernels } from "./lstm.ts";
import { normalizedConvolutionKernels } from "./normalized-convolution.ts";
import { registerOwnKernel } from "./own-kernel.ts";
import { rowNormalizationKernels } from "./row-normalization.ts";
import { simpleRnnKernels } from "./simple-rnn.ts";
import { smoothActivationKernels } from "./smooth-activations.ts";
import { softmaxCrossentropyKernels } from "./softmax-crossentropy.ts";

const ownKernels = [
  ...activationKernels,
  ...batchNormalizationKernels,
  ...convolutionKernels,
  ...gruKernels,
  ...lstmKernels,
  ...normalizedConvolutionKernels,
  ...rowNormalizationKernels,
  ...simpleRnnKernels,
  ...smoothActivationKernels,
  ...softmaxCrossentropyKernels,
];

/** The gradients of our own kernels. */
export const ownKernelGradients: readonly GradientRule[] = ownKernels.flatMap(
  ({ gradient }) => gradient ?? [],
);

/** Registers our own kernels with every backend. */
export function registerOwnKernels(): void {
  for (const kernel of ownKernels) registerOwnKernel(kernel);
}
