import type { Metadata } from "h5wasm/node";
import { KerasFileError } from "../errors.ts";
import { elementTypeName, isString } from "./element-type.ts";
import type { Source } from "./library.ts";

/**
 * Reads the strings of an attribute, of fixed or variable length; an attribute without a value gives an empty list.
 * @throws {KerasFileError} if its elements are not strings.
 */
export function readStrings(source: Source, path: string, name: string): readonly string[] {
  const { library, fileId, label } = source;
  const metadata = library.get_attribute_metadata(fileId, path, name);
  if (!metadata.shape || metadata.total_size === 0) return [];
  if (!isString(metadata)) {
    throw new KerasFileError(
      `${label}: ${path}: attribute ${name}: expected strings, got ${elementTypeName(metadata)}.`,
      "attribute",
    );
  }
  const bytes = metadata.size * metadata.total_size;
  const pointer = library._malloc(bytes);
  if (pointer === 0)
    throw new KerasFileError(
      `${label}: ${path}: attribute ${name}: ${bytes} bytes do not fit in memory.`,
      "size",
    );
  try {
    library.get_attribute_data(fileId, path, name, BigInt(pointer));
    const values: string[] = [];
    if (metadata.vlen) {
      const pointers = new Uint32Array(library.HEAPU8.slice(pointer, pointer + bytes).buffer);
      for (const at of pointers) values.push(at === 0 ? "" : library.UTF8ToString(at));
      library.reclaim_vlen_memory(fileId, path, name, BigInt(pointer));
    } else {
      for (let index = 0; index < metadata.total_size; index += 1) {
        const start = pointer + index * metadata.size;
        values.push(fixedString(library.HEAPU8.subarray(start, start + metadata.size), metadata));
      }
    }
    return values;
  } finally {
    library._free(pointer);
  }
}

const spacePadded = 2;

function fixedString(bytes: Uint8Array, metadata: Metadata): string {
  const end = bytes.indexOf(0);
  const text = Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString("utf8");
  return metadata.strpad === spacePadded ? text.trimEnd() : text;
}
