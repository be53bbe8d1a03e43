import { tf } from "../../engine/tf.ts";
import { TopologyError, UsageError } from "../../errors.ts";
import type { KernelContext, RandomStream } from "../../layers/kernel.ts";
import { kernelOf } from "../../layers/registry.ts";
import { optionName } from "../../options.ts";
import { elementCount, formatShape, sameShape } from "../../tensor.ts";
import { withErrorPrefix } from "../../topology/call-outputs.ts";
import type { AugmentationLayer, ImageShape } from "./transformations.ts";
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
  const context: KernelContext = { training: true, statistics: "stored", random, keras: 3 };
  const changed = tf.tidy(() =>
    layers.reduce(
      (image, layer) => applied(layer, image, context),
      tf.tensor(pixels, [1, ...shape], "float32"),
    ),
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
  return result instanceof tf.Tensor ? result : result.outputs[0]!;
}
