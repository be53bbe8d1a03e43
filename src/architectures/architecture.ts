import type { JsonObject } from "../checkpoint.ts";

/** A network of keras.applications, which can be built for a file that holds only its weights. */
export interface Architecture {
  /** Name of the function in keras.applications in lower case: `resnet50`. */
  readonly name: string;
  /**
   * Builds the model config in Keras 3's `.keras` dialect. The number of classes, and the width of networks that exist
   * in several, are taken from the shapes of the file's kernels. The model has no top if the file lacks the
   * classifier's kernel.
   */
  readonly build: (file: ArchitectureFile) => JsonObject;
  /**
   * Returns the names of a layer in other releases of Keras. Names that differ only by a slash or by the number behind
   * a class name are not listed.
   */
  readonly formerNames?: (layer: string) => readonly string[];
}

/** Facts about the layers of a weights file, by the current names of the layers. */
export interface ArchitectureFile {
  /** Returns the shape of the layer's kernel, undefined if the file lacks the layer. */
  kernelShape(layer: string): readonly number[] | undefined;
  /** Returns whether the file has a layer of this former name. */
  has(formerName: string): boolean;
  /** Returns the values of a weight that is a short vector, such as `mean` of `normalization`. */
  values(layer: string, weight: string): readonly number[] | undefined;
}

/** Describes a network as published, independent of any file. @param classes Number of outputs, null for no top. */
export function publishedFile(classes: number | null): ArchitectureFile {
  return {
    kernelShape: (layer) => (classes !== null && classifiers.test(layer) ? [1, 1, 1, classes] : undefined),
    has: () => false,
    values: () => undefined,
  };
}

/** Names of the layers that compute the class scores. */
const classifiers = /^(?:predictions|conv_preds|logits|convnext_\w+_head_dense)$/;
