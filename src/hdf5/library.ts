import { type Module, ready } from "h5wasm/node";
import { KerasFileError } from "../errors.ts";
import { guardFileSystem } from "./file-system.ts";

export type Library = typeof Module;

/** The HDF5 library in WebAssembly, loaded once; a failing call throws instead of printing to stderr. */
export function loadLibrary(): Promise<Library> {
  loading ??= ready.then((library) => {
    library.activate_throwing_error_handler();
    guardFileSystem();
    return library;
  });
  return loading;
}

let loading: Promise<Library> | undefined;

/** What HDF5 says went wrong: the innermost cause of its diagnostic stack. */
export function libraryMessage(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const causes = [...text.matchAll(/^ {2}#\d+: .*? in \w+\(\): (.*)$/gm)];
  return causes.at(-1)?.[1] ?? text.split("\n")[0] ?? "unknown error";
}

/** An open file, as everything that reads of it needs it. */
export interface Source {
  readonly library: Library;
  readonly label: string;
  readonly fileId: bigint;
  readonly bytes: number;
}

export function damaged(source: Source, path: string, error: unknown): KerasFileError {
  return new KerasFileError(`${source.label}: ${path}: cannot be read: ${libraryMessage(error)}.`, "damaged");
}
