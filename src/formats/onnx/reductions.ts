/** @file Reductions, rankings and products of tensors in ONNX. */

import type { GraphBuilder, Name } from "./graph-builder.ts";
import type { Lowering } from "./lowering.ts";
import { axesOf, flagOf, noForm, numberOf } from "./lowering.ts";
import { dataType } from "./messages.ts";
import type { ValueId } from "./tensor-program.ts";

/** A reduction that takes its axes as an attribute, as all but ReduceSum do in opset 17. */
const reduction =
  (opType: string, axesName: string): Lowering =>
  ({ id, node }, graph) => {
    const x = id("x");
    const axes = axesOf(node, axesName, graph.value(x).shape.length);
    return graph.add(opType, [graph.name(x)], { axes, keepdims: flagOf(node, "keepDims") ? 1 : 0 });
  };

/** A reduction of truth values. */
const ofTruths =
  (opType: string): Lowering =>
  ({ id, node }, graph) => {
    const x = id("x");
    const numbers = graph.add("Cast", [graph.name(x)], { to: dataType.int32 });
    const axes = axesOf(node, "axis", graph.value(x).shape.length);
    const reduced = graph.add(opType, [numbers], { axes, keepdims: flagOf(node, "keepDims") ? 1 : 0 });
    return graph.add("Cast", [reduced], { to: dataType.bool });
  };

const position =
  (opType: string): Lowering =>
  ({ id, node }, graph) => {
    const [axis = 0] = axesOf(node, "axis", graph.value(id("x")).shape.length);
    const found = graph.add(opType, [graph.name(id("x"))], { axis, keepdims: 0 });
    return graph.add("Cast", [found], { to: dataType.int32 });
  };

export const reductionLowerings: Readonly<Record<string, Lowering>> = {
  All: ofTruths("ReduceMin"),
  Any: ofTruths("ReduceMax"),
  ArgMax: position("ArgMax"),
  ArgMin: position("ArgMin"),
  BatchMatMul: ({ id, node }, graph) => {
    const a = turned(graph, id("a"), flagOf(node, "transposeA"));
    const b = turned(graph, id("b"), flagOf(node, "transposeB"));
    return graph.add("MatMul", [a, b]);
  },
  Cumsum: ({ id, node }, graph) => {
    const x = id("x");
    const [axis = 0] = axesOf(node, "axis", graph.value(x).shape.length);
    const at = graph.initializer("axis", [], dataType.int64, BigInt64Array.of(BigInt(axis)));
    return graph.add("CumSum", [graph.name(x), at], {
      exclusive: flagOf(node, "exclusive") ? 1 : 0,
      reverse: flagOf(node, "reverse") ? 1 : 0,
    });
  },
  Einsum: ({ ids, node }, graph) => {
    const { equation } = node.attributes;
    if (typeof equation !== "string") throw noForm(node, "without an equation");
    return graph.add(
      "Einsum",
      ids.map((id) => graph.name(id)),
      { equation },
    );
  },
  LogSoftmax: ({ id, node }, graph) => {
    const [axis = -1] = axesOf(node, "axis", graph.value(id("logits")).shape.length);
    return graph.add("LogSoftmax", [graph.name(id("logits"))], { axis });
  },
  Max: reduction("ReduceMax", "reductionIndices"),
  Mean: reduction("ReduceMean", "axis"),
  Min: reduction("ReduceMin", "axis"),
  Prod: reduction("ReduceProd", "axis"),
  Softmax: ({ id }, graph) => graph.add("Softmax", [graph.name(id("logits"))], { axis: -1 }),
  Sum: ({ id, node }, graph) => {
    const x = id("x");
    const axes = graph.integers(axesOf(node, "axis", graph.value(x).shape.length));
    return graph.add("ReduceSum", [graph.name(x), axes], { keepdims: flagOf(node, "keepDims") ? 1 : 0 });
  },
  TopK: ({ id, node }, graph) => {
    const k = graph.integers([numberOf(node, "k")]);
    const [values = "", places = ""] = graph.addMany("TopK", [graph.name(id("x")), k], { axis: -1 }, 2);
    return [values, graph.add("Cast", [places], { to: dataType.int32 })];
  },
};

/** A matrix, or a stack of them, with its last two axes exchanged where `isTransposed`. */
function turned(graph: GraphBuilder, id: ValueId, isTransposed: boolean): Name {
  if (!isTransposed) return graph.name(id);
  const rank = graph.value(id).shape.length;
  const perm = Array.from({ length: rank }, (_, axis) => axis);
  perm.splice(rank - 2, 2, rank - 1, rank - 2);
  return graph.add("Transpose", [graph.name(id)], { perm });
}
