import type { JsonObject } from "../checkpoint.ts";
import type { InputTensor } from "../tensor.ts";
import type { FileKind } from "./file-kind.ts";

/** A file that cannot be used, and why, in words that follow a path and a colon. */
export interface BadFile {
  readonly path: string;
  readonly reason: string;
}

/** One sample read from its file. */
export interface LoadedSample<Value> {
  readonly value: Value;
  /** sha256 of the bytes that were read, in hexadecimal. */
  readonly contentHash: string;
  /** Turned or mirrored by its EXIF orientation; false for what is no image. */
  readonly rotated: boolean;
  /** The name promises another format; false for what is no image. */
  readonly mislabelled: boolean;
}

/** A tensor in the making, a row a sample. */
export interface OpenInput<Value, Input extends InputTensor> {
  set(row: number, value: Value): void;
  /** The first `rows` rows, the receiver's. */
  finish(rows: number): Input;
}

/** How files become a model's input. */
export interface SampleReader<Value = unknown, Input extends InputTensor = InputTensor> {
  readonly kind: FileKind;
  /** Of one sample in the input: `[224, 224, 3]`, `[1]`; empty for a text without an axis of its own. */
  readonly sampleShape: readonly number[];
  /** What a sample is made of besides the bytes of its file. */
  identity(): Promise<JsonObject>;
  /** Reads one sample, or another view of it where the reader makes some; view 0 is the sample itself. */
  load(path: string, view?: number): Promise<LoadedSample<Value> | BadFile>;
  /** Room for `rows` samples. */
  open(rows: number): OpenInput<Value, Input>;
}
