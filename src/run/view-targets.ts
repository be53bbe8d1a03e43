import { movesPixels } from "../features/views/recipe.ts";
import type { ImageShape } from "../features/views/transformations.ts";
import type { ViewSettings } from "../features/views/view.ts";
import { viewStream } from "../features/views/view.ts";
import { viewPositions } from "../features/views/view-pixels.ts";
import type { OutputTargets } from "../task/output-targets.ts";
import type { Tensor } from "../tensor.ts";
import { elementCount, float32Tensor, toFloat32 } from "../tensor.ts";
import type { Examples } from "../training/example-set.ts";

/** Returns the targets of samples, given as they are, for one of their views. `contentHashes` has one for each row. */
export type ViewTargets = (
  given: Examples["targets"],
  view: number,
  contentHashes: readonly string[],
) => Promise<Examples["targets"]>;

/** Returns what moves targets with the pixels of views; null where no transformation moves pixels, or no target has positions. */
export function viewTargets(
  { layers, seed }: ViewSettings,
  image: ImageShape,
  hasPositions: boolean,
): ViewTargets | null {
  if (!hasPositions || !movesPixels(layers)) return null;
  const moved = async (tensor: Tensor, view: number, contentHashes: readonly string[]): Promise<Tensor> => {
    const [, height = 1, width = 1, values = 1] = tensor.shape;
    const shape: ImageShape = [height, width, values];
    const size = elementCount(shape);
    const given = toFloat32(tensor);
    const data = new Float32Array(given.length);
    for (const [row, contentHash] of contentHashes.entries()) {
      const random = viewStream({ contentHash, view, seed }, "image");
      const own = given.subarray(row * size, (row + 1) * size);
      data.set(await viewPositions(layers, own, shape, { image, random }), row * size);
    }
    return float32Tensor(data, tensor.shape);
  };
  return async (given, view, contentHashes) => {
    if (view === 0) return given;
    const all: (OutputTargets | null)[] = [];
    for (const own of given) {
      all.push(
        own && {
          targets: isSpatial(own.targets) ? await moved(own.targets, view, contentHashes) : own.targets,
          ...(own.weights && {
            weights: isSpatial(own.weights) ? await moved(own.weights, view, contentHashes) : own.weights,
          }),
        },
      );
    }
    return all;
  };
}

/** Returns whether each sample has height and width. */
function isSpatial({ shape }: Tensor): boolean {
  return shape.length >= 3;
}
