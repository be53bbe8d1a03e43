import { createRequire } from "node:module";
import type { Reader } from "protobufjs/minimal.js";

type Minimal = typeof import("protobufjs/minimal.js");

/** Handles a field: its number, and the reader, which stands behind the tag. Returns false for a field that is passed over. */
export type ReadField = (field: number, reader: Reader) => boolean;

/**
 * Reads the fields of a protobuf message one after another. The protobuf library is loaded here, which only a model with such a file needs.
 * @throws {RangeError} for bytes that end early. @throws {Error} for a wire type that protobuf does not have.
 */
export function readFields(bytes: Uint8Array, readField: ReadField): void {
  const { Reader: Library } = createRequire(import.meta.url)("protobufjs/minimal.js") as Minimal;
  const reader = Library.create(bytes);
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (!readField(tag >>> 3, reader)) reader.skipType(tag & 7);
  }
}
