/** Made-up photographs and texts of ten classes. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";

/** Writes a folder of classes for each split. */
export async function makeData({ unit, size }, splits, place) {
  for (const [split, count] of Object.entries(splits)) {
    for (let index = 0; index < count; index++) {
      const label = `class${index % 10}`;
      mkdirSync(join(place, split, label), { recursive: true });
      const file = join(place, split, label, `${index}.${unit === "text" ? "txt" : "jpg"}`);
      const seed = index + (split === "val" ? 7919 : 0);
      writeFileSync(file, unit === "text" ? words(seed) : await photo(size, seed));
    }
  }
}

function words(seed) {
  return Array.from({ length: 60 }, (_, index) => `word${(seed * 31 + index * (seed + 7)) % 1500}`).join(" ");
}

/** Returns a JPEG of a photograph's size and about its bytes: noise that is blurred. */
function photo(size, seed) {
  const [width, height] = [2 * size, Math.round(1.5 * size)];
  const pixels = Buffer.alloc(width * height * 3);
  for (let at = 0, state = seed + 1; at < pixels.length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    pixels[at] = state >>> 24;
  }
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .blur(2)
    .jpeg({ quality: 90 })
    .toBuffer();
}
