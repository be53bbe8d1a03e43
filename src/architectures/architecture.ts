import type { JsonObject } from "../checkpoint.ts";

/** A published network, to be built for a file that holds its weights only. */
export interface Architecture {
  /** As keras.applications calls it, in lower case: `resnet50`. */
  readonly name: string;
  /**
   * Its config in Keras 3's `.keras` dialect. What the file tells by a shape is the file's: the number of classes, and the
   * widths of the networks that come in several. Without the classifier's kernel it has no top.
   */
  readonly build: (file: ArchitectureFile) => JsonObject;
  /** What a layer was called by other releases of Keras, where a slash or a number of its class does not make the difference. */
  readonly formerNames?: (layer: string) => readonly string[];
}

/** What a file says of the layers of a network, by the names that they have now. */
export interface ArchitectureFile {
  /** The shape of the layer's kernel, undefined where the file lacks the layer. */
  kernelShape(layer: string): readonly number[] | undefined;
  /** Whether the file calls the layer by that former name. */
  has(formerName: string): boolean;
  /** The values of a vector of at most a few numbers: `normalization`, `mean`. */
  values(layer: string, weight: string): readonly number[] | undefined;
}

/** The network as it was published, for no file: with `classes` outputs, or without its top. */
export function publishedFile(classes: number | null): ArchitectureFile {
  return {
    kernelShape: (layer) => (classes !== null && classifiers.test(layer) ? [1, 1, 1, classes] : undefined),
    has: () => false,
    values: () => undefined,
  };
}

/** Names of the layers that give the scores. */
const classifiers = /^(?:predictions|conv_preds|logits|convnext_\w+_head_dense)$/;
