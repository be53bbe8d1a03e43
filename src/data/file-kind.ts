import { extname } from "node:path";
import { hasImageExtension } from "./image-format.ts";

/** What the files of a data folder hold, and how messages speak of them. */
export interface FileKind {
  readonly kind: "images" | "texts";
  readonly one: string;
  readonly many: string;
  /** `*.jpg`, in what a folder is expected to hold. */
  readonly pattern: string;
  /** Whether a file's name says that it is one. */
  matches(name: string): boolean;
}

export const imageFiles: FileKind = {
  kind: "images",
  one: "image",
  many: "images",
  pattern: "*.jpg",
  matches: hasImageExtension,
};

/** As in `keras.utils.text_dataset_from_directory`: one file is one text. */
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
