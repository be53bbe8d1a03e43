import { createHash } from "node:crypto";
import type { Json } from "../../checkpoint.ts";
import type { RandomStream } from "../../random.ts";
import { randomGenerator, seedOf } from "../../random.ts";
import { canonicalJson } from "../cache/trunk-key.ts";
import type { AugmentationLayer } from "./transformations.ts";

/** Settings by which views of samples are made; the random image layers that a model begins with draw too. */
export interface ViewSettings {
  /** Run on pixels of 0-255 before preprocessing, in their order. */
  readonly layers: readonly AugmentationLayer[];
  readonly seed: number;
}

/** One view of one sample, and what its random numbers are drawn from. */
export interface DrawnView {
  /** The sha256 of the sample's bytes, in hexadecimal. */
  readonly contentHash: string;
  /** 0 is the sample itself. */
  readonly view: number;
  readonly seed: number;
}

/** Purposes that draw from a view: transformations of pixels, layers of the model, the box that comes from another image. */
type ViewPurpose = "image" | "model" | "cutmix";

/** Rises with every change to how a view's numbers are drawn or used. */
const viewVersion = 1;

/**
 * Returns the random numbers of one view: the same for the same bytes, view and seed on every machine and engine. `purpose` tells
 * apart what draws from the same view.
 */
export function viewStream({ contentHash, view, seed }: DrawnView, purpose: ViewPurpose): RandomStream {
  const generator = randomGenerator(seedOf(`view ${viewVersion} ${purpose} ${seed} ${view} ${contentHash}`));
  return { nextSeed: () => generator.nextInteger() >>> 1 };
}

/**
 * Returns the key of a view's features beside those of the same static part, 64 hexadecimal digits: of view 0 the sample's own, which
 * runs without views have too.
 */
export function viewKey(contentHash: string, view: number, { layers, seed }: ViewSettings): string {
  if (view === 0) return contentHash;
  const made: Json = [
    "view",
    viewVersion,
    contentHash,
    view,
    seed,
    layers.map(({ className, config }) => [className, config]),
  ];
  return createHash("sha256").update(canonicalJson(made)).digest("hex");
}

/** Returns the view that an epoch, counted from 1, trains on: one of `views` in turn, or with 0 views one of its own. */
export function viewOfEpoch(epoch: number, views: number): number {
  return views === 0 ? epoch : epoch % views;
}

/** Returns the views that the epochs from `first` to `last` train on, in rising order. */
export function viewsOfEpochs(first: number, last: number, views: number): number[] {
  const used = Array.from({ length: last - first + 1 }, (_, index) => viewOfEpoch(first + index, views));
  return [...new Set(used)].sort((a, b) => a - b);
}
