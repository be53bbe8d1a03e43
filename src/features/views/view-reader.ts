import type { ImageOptions } from "../../data/images.ts";
import { imageReader } from "../../data/images.ts";
import { preprocessPixels } from "../../data/preprocess.ts";
import type { BadFile, LoadedSample, SampleReader } from "../../data/sample-reader.ts";
import type { Tensor } from "../../tensor.ts";
import type { CutMix } from "./cutmix.ts";
import { cutBox, withBox } from "./cutmix.ts";
import type { ImageShape } from "./transformations.ts";
import type { ViewSettings } from "./view.ts";
import { viewStream } from "./view.ts";
import { viewPixels } from "./view-pixels.ts";

type Loaded = LoadedSample<Float32Array> | BadFile;

/** Images whose views are read one after the other are decoded once: so many are held. */
const heldImages = 16;

/**
 * Returns a reader of images and their views: between resizing and preprocessing, a view other than 0 goes through the layers with
 * numbers drawn from the image's bytes, the view and the seed. View 0 is the image itself, to the bit as `imageReader` gives it.
 */
export function viewReader(
  options: ImageOptions,
  { layers, seed }: ViewSettings,
  cutmix: CutMix | null = null,
): SampleReader<Float32Array, Tensor> {
  const { imageSize, preprocess, channels = 3, isWhole = false } = options;
  const shape: ImageShape = [...imageSize, channels];
  const unprepared = imageReader({ ...options, preprocess: "none" });
  const load = heldLoads((path) => unprepared.load(path));
  const pixelsOf = async ({ value, contentHash }: LoadedSample<Float32Array>, view: number) =>
    view === 0 || layers.length === 0
      ? value
      : viewPixels(layers, value, shape, viewStream({ contentHash, view, seed }, "image"));
  return {
    ...imageReader(options),
    load: async (path, view = 0) => {
      const image = await load(path);
      if ("reason" in image) return image;
      const own = await pixelsOf(image, view);
      const other = cutmix && view > 0 ? await load(cutmix.partnerOf(path, view)) : null;
      const { contentHash } = image;
      const value =
        !other || "reason" in other || !cutmix
          ? Float32Array.from(own)
          : withBox(
              own,
              await pixelsOf(other, view),
              cutBox({ contentHash, view, seed }, cutmix.alpha, shape),
              shape,
            );
      if (isWhole) value.set(value.map(Math.trunc));
      preprocessPixels(value, preprocess, channels);
      return { ...image, value };
    },
  };
}

/** Holds what was loaded last, for views of one image that are read soon after each other. */
function heldLoads(load: (path: string) => Promise<Loaded>): (path: string) => Promise<Loaded> {
  const held = new Map<string, Promise<Loaded>>();
  return (path) => {
    const known = held.get(path);
    if (known) return known;
    const loading = load(path);
    held.set(path, loading);
    const [oldest] = held.keys();
    if (held.size > heldImages && oldest !== undefined) held.delete(oldest);
    return loading;
  };
}
