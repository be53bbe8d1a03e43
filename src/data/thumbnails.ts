import { loadSharp } from "./decoder-info.ts";

/** The longer side of a thumbnail in pixels. */
const side = 160;

/**
 * Returns a small JPEG of an image file as a data URI, for a page; undefined where the file cannot be decoded. The orientation of
 * EXIF is applied.
 */
export async function thumbnail(path: string): Promise<string | undefined> {
  const { default: sharp } = await loadSharp();
  try {
    const bytes = await sharp(path, { pages: 1 })
      .rotate()
      .resize(side, side, { fit: "inside", withoutEnlargement: true })
      .flatten({ background: "#ffffff" })
      .jpeg({ quality: 70 })
      .toBuffer();
    return `data:image/jpeg;base64,${bytes.toString("base64")}`;
  } catch {
    return undefined;
  }
}
