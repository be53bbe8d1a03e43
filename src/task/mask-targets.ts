/** Masks as targets: one class per position of an output. */
import type { FileSample, TargetColumn } from "../data/dataset.ts";
import { loadMasks } from "../data/mask-pairs.ts";
import { DataError } from "../errors.ts";
import type { Tensor } from "../tensor.ts";
import { float32Tensor, formatShape } from "../tensor.ts";
import { concreteShapes, shapeAt } from "../topology/concrete-shapes.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";
import type { Loss } from "./losses/loss.ts";
import type { OutputObjective } from "./objective.ts";
import { targetsFor } from "./targets.ts";

/** `[height, width]` of each output for images of a size, null for an output that has no such positions. */
export type OutputSizes = readonly (readonly [number, number] | null)[];

/** Returns the sizes of a model's outputs for images of `imageSize`. */
export function outputSizes(graph: LayerGraph, imageSize: readonly [number, number]): OutputSizes {
  const shapes = concreteShapes(graph, imageSize);
  return graph.outputs.map(({ ref }) => {
    const [, height = null, width = null, units] = shapeAt(shapes, ref) ?? [];
    return height === null || width === null || units === undefined ? null : [height, width];
  });
}

/**
 * Reads the masks of samples as the output's loss takes them: class indices `[N, height, width]`, one-hot `[N, height, width, K]`, or
 * zeros and ones `[N, height, width, 1]`. They are resized to the output's size, to the nearest.
 *
 * @throws {DataError} for an output without positions, a mask that cannot be read, or a class that the output does not have.
 */
export async function maskTargets(
  { name, coding, classNames = [] }: TargetColumn,
  samples: readonly FileSample[],
  output: OutputObjective & { readonly loss: Loss },
  size: readonly [number, number] | null | undefined,
  labels: readonly string[] | undefined,
): Promise<Tensor> {
  if (!size || !coding) {
    throw new DataError(
      `targets of ${name}: expected an output [None,height,width,classes] for masks, got ${output.name} ${formatShape(output.shape)}.`,
      "masks",
    );
  }
  const masks = await loadMasks(
    samples.map((sample) => maskPath(sample, name)),
    coding,
    size,
  );
  const classes = Float32Array.from(masks.data as Uint8Array, placesOf(classNames, labels));
  const units = output.shape.at(-1) ?? 1;
  const label = `targets of ${name}`;
  if (output.loss.targets === "indices")
    return targetsFor(float32Tensor(classes, masks.shape), output, label);
  if (units === 1) return targetsFor(float32Tensor(classes, [...masks.shape, 1]), output, label);
  const oneHot = new Float32Array(classes.length * units);
  classes.forEach((place, position) => {
    if (place < units) oneHot[position * units + place] = 1;
    else throw strangeClass(samples, position, size, place, units);
  });
  return targetsFor(float32Tensor(oneHot, [...masks.shape, units]), output, label);
}

function maskPath({ path, targets }: FileSample, name: string): string {
  const mask = targets?.[name];
  if (typeof mask === "string") return mask;
  throw new DataError(`${path}: ${name}: expected the path of a mask, got none.`, "no-target");
}

/** Returns the output's place of a class where the model knows all of them by name; else a class is its index. */
function placesOf(names: readonly string[], labels: readonly string[] = []): (label: number) => number {
  if (names.length === 0 || !names.every((name) => labels.includes(name))) return (label) => label;
  const places = names.map((name) => labels.indexOf(name));
  return (label) => places[label] ?? label;
}

function strangeClass(
  samples: readonly FileSample[],
  position: number,
  size: readonly [number, number],
  place: number,
  units: number,
): DataError {
  const sample = samples[Math.floor(position / (size[0] * size[1]))];
  return new DataError(
    `${sample?.path}: mask: expected classes 0 to ${units - 1}, as the output has, got ${place}.`,
    "mask-values",
  );
}
