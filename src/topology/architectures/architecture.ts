import type { JsonObject } from "../../checkpoint.ts";

/** A published network, to be built for a file that holds its weights only. */
export interface Architecture {
  readonly name: string;
  /** What a layer of the network may be called in a file, its own name first: releases of Keras named them differently. */
  readonly fileNames: (layer: string) => readonly string[];
  /** Whether a file with these layers is one of this network: by their names, or numbered by class (`conv2d_52`). */
  readonly recognises: (fileLayers: readonly string[]) => boolean;
  /**
   * Its config in Keras 3's `.keras` dialect. The widths and the number of classes are the file's: `kernelShape` gives the
   * shape of a layer's kernel there, undefined where the file lacks the layer. Without the classifier's kernel it has no top.
   */
  readonly build: (file: ArchitectureFile) => JsonObject;
}

export interface ArchitectureFile {
  readonly layers: readonly string[];
  kernelShape(layer: string): readonly number[] | undefined;
}
