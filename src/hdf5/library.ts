import { type Module, ready } from "h5wasm/node";
import { KerasFileError } from "../errors.ts";
import { guardFileSystem } from "./file-system.ts";

/** The interface of the compiled library. */
export type Library = typeof Module;

/** Loads the HDF5 library (WebAssembly) once per process. Its calls throw on failure instead of printing to stderr. */
export function loadLibrary(): Promise<Library> {
  loading ??= ready.then((library) => {
    library.activate_throwing_error_handler();
    guardFileSystem();
    return library;
  });
  return loading;
}

let loading: Promise<Library> | undefined;

/** Returns the innermost cause in HDF5's diagnostic stack, or the error's first line if it has none. */
export function libraryMessage(error: unknown): string {
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
