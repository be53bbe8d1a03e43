import type { Shape } from "../tensor.ts";
import type { GraphLayer, GraphNode, LayerGraph, TensorRef } from "./layer-graph.ts";
import { layersByPath } from "./layer-graph.ts";
import { specOf } from "./layer-specs.ts";

/** Shapes of a node's outputs, null where no spec knows them. */
export type NodeShapes = readonly (Shape | null)[];

/** Assumed for dimensions of an input that the model leaves open. */
export const assumedSize = 224;

/**
 * The shapes of every node's outputs, by node index, with the batch as null and every other open dimension of the inputs
 * taken to be `size`: `[height, width]` in pixels for pictures, 1 for texts, its first number for anything else.
 */
export function concreteShapes(
  graph: LayerGraph,
  size: readonly [number, number] = [assumedSize, assumedSize],
): readonly NodeShapes[] {
  const layers = layersByPath(graph);
  const shapes: NodeShapes[] = [];
  for (const node of graph.nodes) {
    shapes.push(shapesOf(node, layers.get(node.layer)!, shapes, size));
  }
  return shapes;
}

/** The shape at `ref`, null where no spec knows it. */
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
    return node.outputs.map(({ shape, dtype }) => shape && closed(shape, dtype === "string" ? [1, 1] : size));
  }
  if (declared.every((shape) => shape !== null && isClosed(shape))) return declared;
  const inputs = node.inputs.map((ref) => shapeAt(earlier, ref));
  const spec = specOf(layer.className);
  if (!spec || !inputs.every((shape) => shape !== null)) return declared;
  return spec.outputShapes({
    config: layer.config,
    keras: layer.keras,
    inputs,
    args: node.args,
    kwargs: node.kwargs,
  });
}

function isClosed(shape: Shape): boolean {
  return shape.slice(1).every((dimension) => dimension !== null);
}

/** Pictures may be channels first: their open dimensions are the two that belong together. */
function closed(shape: Shape, [height, width]: readonly [number, number]): Shape {
  const open = shape.flatMap((dimension, axis) => (axis > 0 && dimension === null ? [axis] : []));
  return shape.map((dimension, axis) => {
    if (axis === 0 || dimension !== null) return dimension;
    return open.indexOf(axis) === 1 ? width : height;
  });
}
