import type { Json } from "../../checkpoint.ts";
import { tf } from "../../engine/tf.ts";
import { repeatable } from "../../engine/webgpu/repeatable.ts";
import { TopologyError, UsageError } from "../../errors.ts";
import type { KernelContext } from "../../layers/kernel.ts";
import { kernelOf } from "../../layers/registry.ts";
import { optionName } from "../../options.ts";
import type { RandomStream } from "../../random.ts";
import { elementCount, formatShape, sameShape } from "../../tensor.ts";
import { withErrorPrefix } from "../../topology/call-outputs.ts";
import type { AugmentationLayer, ImageShape } from "./transformations.ts";
import { movingLayers } from "./transformations.ts";
import { viewStream } from "./view.ts";

/**
 * Runs layers on the pixels of one image, 0-255, as in training. The image is a batch of its own, so that its view does not depend
 * on others.
 * @throws {TopologyError} if the layers give an image of another size.
 */
export async function viewPixels(
  layers: readonly AugmentationLayer[],
  pixels: Float32Array,
  shape: ImageShape,
  random: RandomStream,
): Promise<Float32Array> {
  const seeds = layers.map(() => random.nextSeed());
  const changed = await repeatable(() =>
    tf.tidy(() => transformed(layers, tf.tensor(pixels, [1, ...shape], "float32"), seeds)),
  );
  try {
    const given = changed.shape.slice(1);
    if (sameShape(given, shape)) return Float32Array.from(await changed.data());
    throw new TopologyError(
      `${optionName("augment")}: expected layers that give images ${formatShape(shape)}, got ${formatShape(given)}. Add a Resizing layer at the end.`,
      "augment-shape",
    );
  } finally {
    changed.dispose();
  }
}

/**
 * Moves the targets of an image's positions as a view has moved its pixels: by the same random numbers, each position taken from the
 * nearest one. `image` is the shape of the pixels, `shape` that of the targets, `[height, width, values]`.
 */
export async function viewPositions(
  layers: readonly AugmentationLayer[],
  values: Float32Array,
  shape: ImageShape,
  { image, random }: { readonly image: ImageShape; readonly random: RandomStream },
): Promise<Float32Array> {
  const moving = layers.map((layer) =>
    movingLayers.has(layer.className) ? ofPositions(layer, shape, image) : null,
  );
  const seeds = layers.map(() => random.nextSeed());
  const changed = await repeatable(() =>
    tf.tidy(() => transformed(moving, tf.tensor(values, [1, ...shape], "float32"), seeds)),
  );
  try {
    return Float32Array.from(await changed.data());
  } finally {
    changed.dispose();
  }
}

/** Returns the layer for targets in place of pixels: sizes in pixels are those of the targets. */
function ofPositions(
  { className, config }: AugmentationLayer,
  [height, width]: ImageShape,
  [imageHeight, imageWidth]: ImageShape,
): AugmentationLayer {
  const scaled = (value: Json | undefined, factor: number): number =>
    Math.max(1, Math.round(Number(value) * factor));
  const sizes = ["RandomCrop", "Resizing"].includes(className) && {
    height: scaled(config["height"], height / imageHeight),
    width: scaled(config["width"], width / imageWidth),
  };
  return { className, config: { ...config, ...sizes, interpolation: "nearest" } };
}

/** Every layer has its seed, also one that is left out, so that all others draw the same numbers without it. */
function transformed(
  layers: readonly (AugmentationLayer | null)[],
  images: tf.Tensor,
  seeds: readonly number[],
): tf.Tensor {
  return layers.reduce((x, layer, index) => {
    const seed = seeds[index] ?? 0;
    if (layer === null) return x;
    const own = { nextSeed: () => seed };
    return applied(layer, x, { training: true, statistics: "stored", random: own, keras: 3 });
  }, images);
}

/**
 * Runs layers once on an image of zeros, so that what they cannot do is known before images are read.
 * @throws {UsageError} naming the layer.
 */
export async function requireUsableLayers(
  layers: readonly AugmentationLayer[],
  shape: ImageShape,
): Promise<void> {
  const pixels = new Float32Array(elementCount(shape));
  const random = viewStream({ contentHash: "", view: 1, seed: 0 }, "image");
  try {
    await viewPixels(layers, pixels, shape, random);
  } catch (error) {
    if (!(error instanceof TopologyError)) throw error;
    throw new UsageError(
      error.message.replace(/^layer: /, `${optionName("augment")}: `),
      error.code,
      "augment",
    );
  }
}

function applied(
  { className, config }: AugmentationLayer,
  image: tf.Tensor,
  context: KernelContext,
): tf.Tensor {
  const kernel = kernelOf(className);
  if (!kernel)
    throw new TopologyError(
      `${optionName("augment")} ${className}: cannot be computed here.`,
      "unsupported-layer",
    );
  const result = withErrorPrefix(`augment ${className}`, () =>
    kernel({ inputs: [image], weights: {}, config, args: [], kwargs: {}, masks: [undefined], context }),
  );
  const output = result instanceof tf.Tensor ? result : result.outputs[0];
  if (!output) throw new Error(`augment: expected ${className} to give an image, got none`);
  return output;
}
