import { describe, expect, test } from "vitest";
import { concreteShapes, shapeAt } from "../../src/topology/concrete-shapes.ts";
import { application, conv, dense, imageInput, pool, strided, tinyGraph } from "../freeze/networks.ts";
import { graphFixture } from "./graph-fixtures.ts";

describe("concreteShapes", () => {
  test("shapes of a model with a fixed input size are the declared ones", () => {
    const graph = application("ResNet50");
    const shapes = concreteShapes(graph, [64, 64]);
    expect(shapes).toEqual(graph.nodes.map(({ outputs }) => outputs.map(({ shape }) => shape)));
  });

  test("open dimensions of an image are resolved by the given size", () => {
    const open = { ...imageInput(), config: { batch_input_shape: [null, null, null, 3] } };
    const graph = tinyGraph([open, conv("a"), strided("b"), pool(), dense("out")]);
    const shapes = concreteShapes(graph, [40, 60]);
    expect(shapes.map(([shape]) => shape)).toEqual([
      [null, 40, 60, 3],
      [null, 40, 60, 4],
      [null, 20, 30, 4],
      [null, 4],
      [null, 3],
    ]);
    expect(concreteShapes(graph)[1]).toEqual([[null, 224, 224, 4]]);
  });

  test("all shapes of a network with an open input size and operations in its graph are resolved", () => {
    const graph = application("MobileNetV3Small");
    const fixture = graphFixture("keras-3.15.1-MobileNetV3Small.json.gz", "MobileNetV3Small");
    expect(fixture.layers.some(({ op }) => op)).toBe(true);
    for (const shapes of concreteShapes(graph, [224, 224])) {
      for (const shape of shapes) expect(shape!.slice(1).every((size) => size !== null)).toBe(true);
    }
  });

  test("shapes after an unknown layer are null", () => {
    const strange = { name: "strange", className: "package>Strange" };
    const graph = tinyGraph([imageInput(), strange, conv("a")]);
    const shapes = concreteShapes(graph);
    expect(shapeAt(shapes, { node: 1, output: 0 })).toBeNull();
    expect(shapeAt(shapes, { node: 0, output: 0 })).toEqual([null, 16, 16, 3]);
  });
});
