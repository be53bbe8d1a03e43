import { extname } from "node:path";
import { hasImageExtension } from "./image-format.ts";

/** A kind of data files, and the words for it in messages. */
export interface FileKind {
  readonly kind: "images" | "texts";
  readonly one: string;
  readonly many: string;
  /** File name pattern for messages: `*.jpg`. */
  readonly pattern: string;
  /** Returns whether a file's name says that it is of this kind. */
  matches(name: string): boolean;
}

export const imageFiles: FileKind = {
  kind: "images",
  one: "image",
  many: "images",
  pattern: "*.jpg",
  matches: hasImageExtension,
};

/** Text files: one file is one text, as in `keras.utils.text_dataset_from_directory`. */
export const textFiles: FileKind = {
  kind: "texts",
  one: "text",
  many: "texts",
  pattern: "*.txt",
  matches: (name) => extname(name).toLowerCase() === ".txt",
};

export const fileKinds: Readonly<Record<FileKind["kind"], FileKind>> = {
  images: imageFiles,
  texts: textFiles,
};
