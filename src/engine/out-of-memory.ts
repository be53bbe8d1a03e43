/** @file Errors of an engine that finds no room, by name. Left alone, WebAssembly writes past its end, and TensorFlow blames a layer's config. */
import { MachineError } from "../errors.ts";
import { optionName } from "../options.ts";

/** Bytes that WebAssembly can address. */
export const wasmBytes = 4294901760;
/** Bytes that are left to kernels, whose own buffers nobody asks for here: they do not say when they get none. */
const kernelBytes = 64 * 2 ** 20;

/** The part of the WebAssembly backend's module that gives memory. */
interface WasmModule {
  _malloc(bytes: number): number;
  _free(at: number): void;
}

/**
 * Makes the WebAssembly backend refuse a tensor for which there is no room. Its own allocation answers 0 then, and what is written
 * there destroys other tensors; of sizes above 4 GB it takes the remainder.
 */
export function refuseWithoutRoom(module: WasmModule): void {
  // The first call of each replaces the function in the module by the one that it calls.
  module._free(module._malloc(1));
  const allocate = module._malloc;
  module._malloc = (bytes) => {
    const place = bytes < wasmBytes ? allocate(bytes) >>> 0 : 0;
    if (place > 0 && place + bytes <= wasmBytes - kernelBytes) return place;
    if (place > 0) module._free(place);
    throw outOfMemory(`${megabytes(bytes)} within the 4 GB that WebAssembly can address`);
  };
}

/** Returns the error that an error of an engine or of Node stands for where it says that memory ran out, else the error itself. */
export function namedMemoryError(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof MachineError) return error;
  const { message } = error;
  const tensor = /OOM when allocating tensor with shape\s*(\[[\d,]*\])/.exec(message);
  if (tensor) return outOfMemory(`a tensor of ${tensor[1]}`);
  if (/Invalid TF_Status: 8\b|std::bad_alloc|Aborted\(OOM\)|Cannot allocate Wasm memory/.test(message))
    return outOfMemory("a tensor");
  const isArray = /Array buffer allocation failed|Invalid (?:typed array|array buffer) length/.test(message);
  return error instanceof RangeError && isArray ? outOfMemory("an array of this size") : error;
}

/** Calls a function, and names the error where memory runs out. */
export function namingMemory<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw namedMemoryError(error);
  }
}

/** Returns the error of an engine that finds no room for something. */
export function outOfMemory(room: string): MachineError {
  return new MachineError(
    `memory: expected room for ${room}, got none. Lower ${optionName("batchSize")}, or give ${optionName("memory")}, which chooses it; a later cut, smaller images or an optimizer with fewer slots take less too.`,
    "out-of-memory",
    "memory",
  );
}

/** Writes a number of bytes as `1,234 MB`. */
export function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 1e6).toLocaleString("en-US")} MB`;
}
