import type { Notes } from "../checkpoint.ts";
import { TopologyError, UsageError } from "../errors.ts";
import { formatShape, type Shape } from "../tensor.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";
import type { Channels } from "./decode.ts";
import { familyOf } from "./families.ts";

const defaultSide = 224;

/**
 * The `[height, width]` that the model's pictures are resized to: what its input fixes; where that is free, what is asked for, else
 * what the file's notes say, else what its family was trained on, else 224.
 *
 * @throws {UsageError} if another size is asked for than the input fixes.
 * @throws {TopologyError} if the model does not take one picture.
 */
export function imageSizeOf(
  graph: LayerGraph,
  notes: Notes,
  requested?: readonly [number, number],
): readonly [number, number] {
  const [, height, width] = pictureInput(graph);
  const fixed = [height ?? null, width ?? null] as const;
  if (requested && fixed.some((side, axis) => side !== null && side !== requested[axis])) {
    const expected = fixed.map((side) => side ?? "any").join("x");
    throw new UsageError(
      `--image-size: the model's input is fixed: expected ${expected}, got ${requested.join("x")}. Leave the flag out.`,
    );
  }
  const side = familyOf(graph)?.imageSize ?? defaultSide;
  const free = requested ?? notes.imageSize ?? [side, side];
  return [fixed[0] ?? free[0], fixed[1] ?? free[1]];
}

/**
 * Colour channels that the model's pictures have, 3 where the input leaves them free.
 *
 * @throws {TopologyError} if the model does not take one picture.
 */
export function imageChannelsOf(graph: LayerGraph): Channels {
  return (pictureInput(graph)[3] ?? 3) as Channels;
}

function pictureInput(graph: LayerGraph): Shape {
  const [input, ...more] = graph.inputs;
  if (!input || more.length > 0) {
    const names = graph.inputs.map(({ name }) => name).join(", ");
    throw new TopologyError(
      `${graph.name}: a folder of pictures feeds one input: expected 1, got ${graph.inputs.length} (${names}). Train it on arrays.`,
    );
  }
  const shape = graph.nodes[input.ref.node]?.outputs[input.ref.output]?.shape ?? [];
  const channels = shape[3] ?? 3;
  if (shape.length === 4 && (channels === 1 || channels === 3 || channels === 4)) return shape;
  const first = shape.length === 4 && (shape[1] === 1 || shape[1] === 3);
  throw new TopologyError(
    `${graph.name}: input ${input.name}: expected pictures [None,height,width,1, 3 or 4], got ${formatShape(shape)}. ${
      first ? "Channels-first pictures are not supported." : "Train it on arrays."
    }`,
  );
}
