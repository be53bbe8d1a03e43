import { KerasFileError } from "../errors.ts";
import { type Library, libraryMessage } from "./library.ts";

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
