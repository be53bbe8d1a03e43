/**
 * @file Recorded operations in the form that TensorFlow's graph optimizer knows: it fuses operations by their plain names, and a fused
 * kernel of oneDNN that was called by a name of its own is what the optimizer makes of several.
 */
import type { AttributeMessage, GraphNode } from "./graph-messages.ts";
import { dataType } from "./graph-messages.ts";
import { constantNode } from "./recorded-operations.ts";

type TypeOf = (name: string) => number;
type Rewrite = (node: GraphNode, typeOf: TypeOf) => readonly GraphNode[];

const zero = constantNode("graph/zero", dataType.float, [], Float32Array.of(0));
const six = constantNode("graph/six", dataType.float, [], Float32Array.of(6));

const rewrites: Readonly<Record<string, Rewrite>> = {
  _MklNativeConv2DWithBias: ({ name, input, attr }) => {
    const [x = "", filter = "", bias = ""] = input;
    const { _kernel, ...window } = attr;
    const convolution = { name: `${name}/convolution`, op: "Conv2D", input: [x, filter], attr: window };
    return [convolution, { name, op: "BiasAdd", input: [convolution.name, bias], attr: typeOnly(attr) }];
  },
  _MklSwish: ({ name, input, attr }) => {
    const [x = ""] = input;
    const sigmoid = { name: `${name}/sigmoid`, op: "Sigmoid", input: [x], attr: typeOnly(attr) };
    return [sigmoid, { name, op: "Mul", input: [x, sigmoid.name], attr: typeOnly(attr) }];
  },
  // tfjs-node leaves the types out, which TensorFlow infers for an operation that is called, not for one of a graph.
  ExpandDims: (node, typeOf) => {
    const [x = "", axis = ""] = node.input;
    return [{ ...node, attr: { T: { type: typeOf(x) }, Tdim: { type: typeOf(axis) }, ...node.attr } }];
  },
  // Where the optimizer fuses ReLU or ReLU6 into a convolution or a product, NaN becomes 0 (6) without a word.
  Relu: (node) => (isFloat(node) ? [{ ...node, op: "Maximum", input: [...node.input, zero.name] }] : [node]),
  Relu6: (node) =>
    isFloat(node) ? [{ ...node, op: "ClipByValue", input: [...node.input, zero.name, six.name] }] : [node],
};

/**
 * Returns nodes that compute the same, with those that they read added.
 * @param typeOf Returns TensorFlow's number of the data type of a value.
 */
export function graphForm(nodes: readonly GraphNode[], typeOf: TypeOf): readonly GraphNode[] {
  return [zero, six, ...nodes.flatMap((node) => rewriteOf(node)?.(node, typeOf) ?? [node])];
}

/** Returns what a node is rewritten by. A graph that was taken up as a whole stays as it was. */
function rewriteOf({ op, from }: GraphNode): Rewrite | undefined {
  return from === undefined ? rewrites[op] : undefined;
}

function typeOnly({ T }: GraphNode["attr"]): Readonly<Record<string, AttributeMessage>> {
  return T ? { T } : {};
}

function isFloat({ attr }: GraphNode): boolean {
  return attr["T"]?.type === dataType.float;
}
