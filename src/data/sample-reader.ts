import type { JsonObject } from "../checkpoint.ts";
import type { InputTensor } from "../tensor.ts";
import type { FileKind } from "./file-kind.ts";

/** A file that cannot be used; `reason` continues a message after the path and a colon. */
export interface BadFile {
  readonly path: string;
  readonly reason: string;
}

/** One sample as read from its file. */
export interface LoadedSample<Value> {
  readonly value: Value;
  /** The sha256 of the bytes that were read, in hexadecimal. */
  readonly contentHash: string;
  /** True if the EXIF orientation turned or mirrored the image; false for texts. */
  readonly rotated: boolean;
  /** True if the name promises another format; false for texts. */
  readonly mislabelled: boolean;
}

/** A tensor that is being filled, one row per sample. */
export interface OpenInput<Value, Input extends InputTensor> {
  set(row: number, value: Value): void;
  /** Returns the first `rows` rows; the receiver owns them. */
  finish(rows: number): Input;
}

/** A reader of files as a model's input. */
export interface SampleReader<Value = unknown, Input extends InputTensor = InputTensor> {
  readonly kind: FileKind;
  /** Shape of one sample in the input: `[224, 224, 3]`, `[1]`; empty for a text without an axis of its own. */
  readonly sampleShape: readonly number[];
  /** Returns everything besides the bytes of a file that decides its sample, for a cache key. */
  identity(): Promise<JsonObject>;
  /** Reads one sample, or another view of it where the reader makes some; view 0 is the sample itself. */
  load(path: string, view?: number): Promise<LoadedSample<Value> | BadFile>;
  /** Makes room for `rows` samples: in the memory of `former`, which nobody reads any more, where it is as large. */
  open(rows: number, former?: InputTensor): OpenInput<Value, Input>;
}
