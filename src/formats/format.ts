import type { Architecture } from "../architectures/architecture.ts";
import type { Checkpoint, CheckpointFormat } from "../checkpoint.ts";
import type { Keras3Release } from "../topology/translate/changes-in-keras3.ts";
import type { ReadValues } from "./read-values.ts";
import type { Source } from "./source.ts";
import type { FormatWriteOptions } from "./write-options.ts";

/** A model without its weights: its config, and the Keras release in whose dialect that is. */
export type DescribedModel = Pick<Checkpoint, "modelConfig" | "kerasVersion">;

export interface FormatReadOptions {
  /** The network that weights without a model of their own belong to. */
  readonly network?: Architecture | DescribedModel | undefined;
  /** False reads names, shapes and dtypes of the weights and leaves their data empty; a function is given each that is read. */
  readonly values: ReadValues;
}

/**
 * Everything that depends on the file format of a checkpoint. A new format is a file that exports one of these, a line in
 * `formats.ts` and its name in {@link CheckpointFormat}.
 */
export interface Format {
  /** The value of `--format`, and of {@link Checkpoint.format} for what it reads. */
  readonly name: CheckpointFormat;
  /** The endings of its files in lower case, with the dot. */
  readonly endings: readonly string[];
  /** True if a path without an ending, or an existing folder, is written in this format. */
  readonly isFolder: boolean;
  /**
   * The kernels of the operations that it holds instead of layers. Such a file is written from a {@link TensorProgram} and
   * not read again. Absent for formats that hold layers.
   */
  readonly operations?: ReadonlySet<string>;
  /** The name of the model in a run folder. */
  readonly fileName: string;
  /** False for weights alone, which are read with a description of their model. */
  readonly holdsModel: boolean;
  /** True if it can hold a tfjs graph model, which has no Keras layers. */
  readonly holdsGraphs: boolean;
  /**
   * Reads a checkpoint. Returns undefined for a source of another format.
   * @throws {KerasFileError} naming what is missing or does not fit.
   */
  read(source: Source, options: FormatReadOptions): Checkpoint | Promise<Checkpoint> | undefined;
  /**
   * Writes a checkpoint of any dialect: completely, or on failure not at all.
   * @throws {TopologyError} naming the layer that the format cannot hold.
   */
  write(path: string, checkpoint: Checkpoint, options: FormatWriteOptions): Promise<void>;
  /** Returns what the program that opens the written file will compute differently or refuse to open, as sentences. */
  warnings(
    checkpoint: Pick<Checkpoint, "modelConfig" | "kerasVersion">,
    release: Keras3Release,
  ): readonly string[];
  /**
   * Returns a sentence on the compile settings that are lost in this format, undefined if none are.
   * @throws {TopologyError} naming the layer that the format cannot hold.
   */
  leftBehind(checkpoint: Checkpoint): string | undefined;
  /**
   * Returns the checkpoint in a form that Keras 3.0 to 3.3 open too. Absent if the format has no such form.
   * @throws {TopologyError} naming the layer that Keras 3.0 cannot hold or open.
   */
  forEarlyKeras3?(checkpoint: Checkpoint): Checkpoint;
}
