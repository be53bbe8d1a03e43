/** @file Operations on single elements in ONNX. */
import type { GraphBuilder, Name } from "./graph-builder.ts";
import { elementTypeOf } from "./graph-builder.ts";
import type { Lowering } from "./lowering.ts";
import { noForm, numberOf } from "./lowering.ts";

/** One ONNX operation of one operand. */
const unary =
  (opType: string): Lowering =>
  (call, graph) =>
    graph.add(opType, [graph.name(call.id("x"))]);

/** One ONNX operation of two operands, which broadcast as in NumPy. */
const binary =
  (opType: string): Lowering =>
  (call, graph) =>
    graph.add(opType, [graph.name(call.id("a")), graph.name(call.id("b"))]);

/** An operation of one operand that is made of several. */
const composed =
  (compute: (x: Name, graph: GraphBuilder) => Name): Lowering =>
  (call, graph) =>
    compute(graph.name(call.id("x")), graph);

export const elementwiseLowerings: Readonly<Record<string, Lowering>> = {
  Abs: unary("Abs"),
  Acos: unary("Acos"),
  Acosh: unary("Acosh"),
  Asin: unary("Asin"),
  Asinh: unary("Asinh"),
  Atan: unary("Atan"),
  Atanh: unary("Atanh"),
  Ceil: unary("Ceil"),
  Cos: unary("Cos"),
  Cosh: unary("Cosh"),
  Elu: unary("Elu"),
  Erf: unary("Erf"),
  Exp: unary("Exp"),
  Floor: unary("Floor"),
  Identity: unary("Identity"),
  IsInf: unary("IsInf"),
  IsNan: unary("IsNaN"),
  Log: unary("Log"),
  LogicalNot: unary("Not"),
  Neg: unary("Neg"),
  Reciprocal: unary("Reciprocal"),
  Relu: unary("Relu"),
  Round: unary("Round"),
  Selu: unary("Selu"),
  Sigmoid: unary("Sigmoid"),
  Sign: unary("Sign"),
  Sin: unary("Sin"),
  Sinh: unary("Sinh"),
  Softplus: unary("Softplus"),
  Sqrt: unary("Sqrt"),
  Tan: unary("Tan"),
  Tanh: unary("Tanh"),

  Add: binary("Add"),
  Equal: binary("Equal"),
  Greater: binary("Greater"),
  GreaterEqual: binary("GreaterOrEqual"),
  Less: binary("Less"),
  LessEqual: binary("LessOrEqual"),
  LogicalAnd: binary("And"),
  LogicalOr: binary("Or"),
  LogicalXor: binary("Xor"),
  Maximum: binary("Max"),
  Minimum: binary("Min"),
  Multiply: binary("Mul"),
  Pow: binary("Pow"),
  RealDiv: binary("Div"),
  Sub: binary("Sub"),

  BiasAdd: (call, graph) => graph.add("Add", [graph.name(call.id("x")), graph.name(call.id("bias"))]),
  Cast: ({ node, id }, graph) => {
    const to = node.outputs[0]?.dtype ?? "float32";
    return graph.add("Cast", [graph.name(id("x"))], { to: elementTypeOf(to) });
  },
  ClipByValue: ({ node, id }, graph) => {
    const bounds = ["clipValueMin", "clipValueMax"].map((name) => graph.scalar(numberOf(node, name)));
    return graph.add("Clip", [graph.name(id("x")), ...bounds]);
  },
  Expm1: composed((x, graph) => graph.add("Sub", [graph.add("Exp", [x]), graph.scalar(1)])),
  FloorDiv: ({ node, id }, graph) => {
    if (node.outputs[0]?.dtype !== "float32") throw noForm(node, "of whole numbers");
    return graph.add("Floor", [graph.add("Div", [graph.name(id("a")), graph.name(id("b"))])]);
  },
  IsFinite: composed((x, graph) =>
    graph.add("Not", [graph.add("Or", [graph.add("IsNaN", [x]), graph.add("IsInf", [x])])]),
  ),
  LeakyRelu: ({ node, id }, graph) =>
    graph.add("LeakyRelu", [graph.name(id("x"))], { alpha: { float: numberOf(node, "alpha") } }),
  Log1p: composed((x, graph) => graph.add("Log", [graph.add("Add", [x, graph.scalar(1)])])),
  Mod: ({ node, id }, graph) => {
    const [a, b] = [graph.name(id("a")), graph.name(id("b"))];
    if (node.outputs[0]?.dtype !== "float32") return graph.add("Mod", [a, b]);
    const whole = graph.add("Floor", [graph.add("Div", [a, b])]);
    return graph.add("Sub", [a, graph.add("Mul", [whole, b])]);
  },
  NotEqual: (call, graph) =>
    graph.add("Not", [graph.add("Equal", [graph.name(call.id("a")), graph.name(call.id("b"))])]),
  Prelu: ({ id }, graph) => {
    const [x, alpha] = [graph.name(id("x")), graph.name(id("alpha"))];
    const positive = graph.add("Greater", [x, graph.scalar(0)]);
    return graph.add("Where", [positive, x, graph.add("Mul", [x, alpha])]);
  },
  Relu6: composed((x, graph) => graph.add("Clip", [x, graph.scalar(0), graph.scalar(6)])),
  Rsqrt: composed((x, graph) => graph.add("Reciprocal", [graph.add("Sqrt", [x])])),
  Select: ({ id }, graph) =>
    graph.add(
      "Where",
      ["condition", "t", "e"].map((name) => graph.name(id(name))),
    ),
  Square: composed((x, graph) => graph.add("Mul", [x, x])),
  SquaredDifference: ({ id }, graph) => {
    const difference = graph.add("Sub", [graph.name(id("a")), graph.name(id("b"))]);
    return graph.add("Mul", [difference, difference]);
  },
  Step: ({ node, id }, graph) => {
    const { alpha = 0 } = node.attributes as { alpha?: number };
    const positive = graph.add("Greater", [graph.name(id("x")), graph.scalar(0)]);
    return graph.add("Where", [positive, graph.scalar(1), graph.scalar(alpha)]);
  },
  Swish: composed((x, graph) => graph.add("Mul", [x, graph.add("Sigmoid", [x])])),
};
