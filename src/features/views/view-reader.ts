import type { ImageOptions } from "../../data/images.ts";
import { imageReader } from "../../data/images.ts";
import { preprocessPixels } from "../../data/preprocess.ts";
import type { BadFile, LoadedSample, SampleReader } from "../../data/sample-reader.ts";
import type { Tensor } from "../../tensor.ts";
import type { AugmentationLayer, ImageShape } from "./transformations.ts";
import { viewStream } from "./view.ts";
import { viewPixels } from "./view-pixels.ts";

type Loaded = LoadedSample<Float32Array> | BadFile;

/** Images whose views are read one after the other are decoded once: so many are held. */
const heldImages = 16;

/**
 * Returns a reader of images and their views: between resizing and preprocessing, a view other than 0 goes through `layers` with
 * numbers drawn from the image's bytes, the view and the seed. View 0 is the image itself, to the bit as `imageReader` gives it.
 */
export function viewReader(
  options: ImageOptions,
  layers: readonly AugmentationLayer[],
  seed: number,
): SampleReader<Float32Array, Tensor> {
  const { imageSize, preprocess, channels = 3 } = options;
  const shape: ImageShape = [...imageSize, channels];
  const unprepared = imageReader({ ...options, preprocess: "none" });
  const load = heldLoads((path) => unprepared.load(path));
  return {
    ...imageReader(options),
    load: async (path, view = 0) => {
      const image = await load(path);
      if ("reason" in image) return image;
      const { contentHash } = image;
      const random = viewStream({ contentHash, view, seed }, "image");
      const value =
        view === 0 || layers.length === 0
          ? Float32Array.from(image.value)
          : await viewPixels(layers, image.value, shape, random);
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
