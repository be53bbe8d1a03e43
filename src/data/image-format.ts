import { extname } from "node:path";

/** Encodings that `decodeImage` reads. */
export type ImageFormat = "jpeg" | "png" | "gif" | "webp" | "bmp" | "tiff" | "avif";

const formatsByExtension: Readonly<Record<string, ImageFormat>> = {
  ".jpg": "jpeg",
  ".jpeg": "jpeg",
  ".jpe": "jpeg",
  ".jfif": "jpeg",
  ".png": "png",
  ".gif": "gif",
  ".webp": "webp",
  ".bmp": "bmp",
  ".dib": "bmp",
  ".tif": "tiff",
  ".tiff": "tiff",
  ".avif": "avif",
};

/** Extensions of images that cannot be decoded here. They are listed and then refused by name rather than ignored. */
const undecodableExtensions: ReadonlySet<string> = new Set([
  ".heic",
  ".heif",
  ".jp2",
  ".jxl",
  ".ppm",
  ".pgm",
  ".psd",
  ".svg",
  ".cr2",
  ".nef",
  ".dng",
]);

/** Returns whether a file's name says that it is an image; the case of the extension does not matter. */
export function hasImageExtension(path: string): boolean {
  const extension = extname(path).toLowerCase();
  return extension in formatsByExtension || undecodableExtensions.has(extension);
}

/** Returns the encoding that a file's name promises, undefined if it promises none. */
export function promisedFormat(path: string): ImageFormat | undefined {
  return formatsByExtension[extname(path).toLowerCase()];
}

/** Returns the encoding by the first bytes. A name in capitals is an encoding that cannot be decoded here; undefined is unknown. */
export function sniffFormat(
  bytes: Uint8Array,
): ImageFormat | "HEIC" | "SVG" | "PSD" | "JPEG 2000" | undefined {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 256)).toString("latin1");
  if (text.startsWith("\xff\xd8\xff")) return "jpeg";
  if (text.startsWith("\x89PNG\r\n\x1a\n")) return "png";
  if (text.startsWith("GIF87a") || text.startsWith("GIF89a")) return "gif";
  if (text.startsWith("RIFF") && text.slice(8, 12) === "WEBP") return "webp";
  if (text.startsWith("BM")) return "bmp";
  if (/^(II[*+]\0|MM\0[*+])/.test(text)) return "tiff";
  if (text.slice(4, 8) === "ftyp") return /avi[fs]/.test(text.slice(8, 64)) ? "avif" : "HEIC";
  if (text.startsWith("8BPS")) return "PSD";
  if (text.slice(4, 8) === "jP  ") return "JPEG 2000";
  if (/^\s*(<\?xml[^>]*>\s*)?(<!--.*-->\s*)?<svg/s.test(text)) return "SVG";
  return undefined;
}
