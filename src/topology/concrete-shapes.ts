import type { Shape } from "../tensor.ts";
import type { GraphLayer, GraphNode, LayerGraph, TensorRef } from "./layer-graph.ts";
import { layerLookup } from "./layer-graph.ts";
import { inputShapes } from "./layer-spec.ts";
import { specOf } from "./layer-specs.ts";

/** Shapes of a call's outputs, null if unknown. */
export type NodeShapes = readonly (Shape | null)[];

/** Size assumed for unknown dimensions of an input, in pixels for images. */
export const assumedSize = 224;

/**
 * Infers the shapes of all outputs with concrete sizes, by the index of their call. The batch dimension stays null;
 * every other unknown dimension of an input becomes `size` (`[height, width]` in pixels) for images, 1 for strings, and
 * the height for anything else.
 */
export function concreteShapes(
  graph: LayerGraph,
  size: readonly [number, number] = [assumedSize, assumedSize],
): readonly NodeShapes[] {
  const layerOf = layerLookup(graph);
  const shapes: NodeShapes[] = [];
  for (const node of graph.nodes) {
    shapes.push(shapesOf(node, layerOf(node.layer), shapes, size));
  }
  return shapes;
}

/** Returns the shape of a tensor, null if unknown. */
export function shapeAt(shapes: readonly NodeShapes[], ref: TensorRef): Shape | null {
  return shapes[ref.node]?.[ref.output] ?? null;
}

function shapesOf(
  node: GraphNode,
  layer: GraphLayer,
  earlier: readonly NodeShapes[],
  size: readonly [number, number],
): NodeShapes {
  const declared = node.outputs.map((output) => output.shape);
  if (node.inputs.length === 0) {
    return node.outputs.map(
      ({ shape, dtype }) => shape && concrete(shape, dtype === "string" ? [1, 1] : size),
    );
  }
  if (declared.every((shape) => shape !== null && isConcrete(shape))) return declared;
  const inputs = node.inputs.map((ref) => shapeAt(earlier, ref));
  const spec = specOf(layer.className);
  if (!spec || !inputs.every((shape) => shape !== null)) return declared;
  return spec.outputShapes({
    config: layer.config,
    keras: layer.keras,
    inputs: inputShapes(inputs),
    args: node.args,
    kwargs: node.kwargs,
  });
}

/** Returns whether all dimensions but the batch are known. */
function isConcrete(shape: Shape): boolean {
  return shape.slice(1).every((dimension) => dimension !== null);
}

/**
 * Replaces the unknown dimensions of an input. The second unknown one is the width, whether channels come first or
 * last.
 */
function concrete(shape: Shape, [height, width]: readonly [number, number]): Shape {
  const open = shape.flatMap((dimension, axis) => (axis > 0 && dimension === null ? [axis] : []));
  return shape.map((dimension, axis) => {
    if (axis === 0 || dimension !== null) return dimension;
    return open.indexOf(axis) === 1 ? width : height;
  });
}
