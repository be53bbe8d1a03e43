import type * as hdf5 from "h5wasm/node";
import { KerasFileError } from "../errors.ts";
import { guardFileSystem } from "./file-system.ts";

/** The interface of the compiled library. */
export type Library = typeof hdf5.Module;

/** The compiled library and the class of its files. */
export interface LoadedLibrary {
  readonly library: Library;
  readonly File: typeof hdf5.File;
}

/**
 * Loads the HDF5 library (WebAssembly), once per process unless it is abandoned. Its calls throw on failure instead of printing to
 * stderr.
 */
export function loadLibrary(): Promise<LoadedLibrary> {
  loading ??= load();
  return loading;
}

let loading: Promise<LoadedLibrary> | undefined;
let instances = 0;
let current: Library | undefined;
const abandoned = new WeakSet<Library>();

async function load(): Promise<LoadedLibrary> {
  instances += 1;
  // Node loads a module once for each address: another query is another instance, with memory of its own.
  const address = `${import.meta.resolve("h5wasm/node")}?instance=${instances}`;
  const package_ = (await import(address)) as typeof hdf5;
  const library = await package_.ready;
  library.activate_throwing_error_handler();
  guardFileSystem(package_.FS);
  current = library;
  return { library, File: package_.File };
}

/**
 * Gives up an instance of the library that a damaged file has stopped in the middle of a call: its memory is not to be trusted, and
 * every further call may fail. The next load is of a new one. Files that are open stay with theirs.
 */
export function abandonLibrary(): void {
  if (current) abandoned.add(current);
  loading = undefined;
}

/** Returns whether an instance was given up, so that nothing is to be asked of it any more. */
export function isAbandoned(library: Library): boolean {
  return abandoned.has(library);
}

/** Returns whether an error is that of a WebAssembly module that stopped, and abandons the library if it is. */
export function isStop(error: unknown): boolean {
  const stopped = error instanceof Error && error.name === "RuntimeError";
  if (stopped) abandonLibrary();
  return stopped;
}

/** Returns the innermost cause in HDF5's diagnostic stack, or the error's first line if it has none. Abandons a library that stopped. */
export function libraryMessage(error: unknown): string {
  if (isStop(error)) return `the HDF5 library stopped (${(error as Error).message})`;
  const text = error instanceof Error ? error.message : String(error);
  const causes = [...text.matchAll(/^ {2}#\d+: .*? in \w+\(\): (.*)$/gm)];
  return causes.at(-1)?.[1] ?? text.split("\n")[0] ?? "unknown error";
}

/** An open file with all that a reader of its objects needs. */
export interface Source {
  readonly library: Library;
  /** Name of the file in error messages. */
  readonly label: string;
  readonly fileId: bigint;
  /** Size of the file. */
  readonly bytes: number;
}

/** Creates the error for an object of the file that HDF5 fails to read. */
export function damaged(source: Source, path: string, error: unknown): KerasFileError {
  return new KerasFileError(`${source.label}: ${path}: cannot be read: ${libraryMessage(error)}.`, "damaged");
}
