/**
 * @file A loop over time as a graph, of the operations by which TensorFlow itself runs its loops
 * (`tensorflow/core/ops/control_flow_ops.cc`, `data_flow_ops.cc`).
 */
import type { AttributeMessage, GraphNode } from "./graph-messages.ts";
import { dataType } from "./graph-messages.ts";
import { constantNode } from "./recorded-operations.ts";

/** Computation of one step of a loop, as operations on names. */
export interface LoopBody {
  readonly nodes: readonly GraphNode[];
  readonly constants: readonly GraphNode[];
  /** The names that stand for the step of each sequence. */
  readonly steps: readonly string[];
  /** The name of each state before the step, and of the one after it. */
  readonly states: readonly (readonly [before: string, after: string])[];
  /** The names of what is the same at every step. */
  readonly same: readonly string[];
  /** The names of the values that are kept of each step. */
  readonly outputs: readonly string[];
  /** Returns TensorFlow's number of the data type of a value. */
  readonly typeOf: (name: string) => number;
  readonly shapeOf: (name: string) => readonly number[];
}

export interface LoopGraph {
  readonly nodes: readonly GraphNode[];
  /** Names of what is fed: the sequences `[T, …]`, the states, what is the same at every step, and the number of steps if it is given. */
  readonly inputs: readonly string[];
  /** Names of the results: each output of every step, `[T, …]`, then the last states. */
  readonly results: readonly string[];
}

const float: AttributeMessage = { type: dataType.float };
const int32: AttributeMessage = { type: dataType.int32 };
const resource: AttributeMessage = { type: dataType.resource };
const anyShape: AttributeMessage = { shape: { unknownRank: true } };

/** The steps that may run at a time, as far as they do not read each other. */
const stepsAtOnce = 10;

/**
 * Returns the graph of a loop that runs `body` for each step, from the last to the first if `backwards`.
 * @param isCounted True if the number of steps is fed, an int32 scalar: the outputs of those behind are zeros.
 */
export function loopGraph(body: LoopBody, backwards: boolean, isCounted: boolean): LoopGraph {
  const nodes: GraphNode[] = [];
  const node = (name: string, op: string, input: readonly string[], attr: GraphNode["attr"] = {}): string => {
    nodes.push({ name, op, input, attr });
    return name;
  };
  const number = (name: string, value: number): string => {
    nodes.push(constantNode(name, dataType.int32, [], Int32Array.of(value)));
    return name;
  };
  const typed = (name: string): AttributeMessage => ({ type: body.typeOf(name) });
  const fed = (name: string): string =>
    node(`fed/${plain(name)}`, "Placeholder", [], { dtype: typed(name), shape: anyShape });
  const entered = (name: string, T: AttributeMessage, isConstant: boolean): string =>
    node(`${plain(name)}/in`, "Enter", [name], {
      T,
      frame_name: { s: new TextEncoder().encode("time") },
      is_constant: { b: isConstant },
      parallel_iterations: { i: stepsAtOnce },
    });
  /** Adds a variable of the loop and returns its merged value. */
  const variable = (name: string, first: string, T: AttributeMessage): string => {
    const start = node(`${name}/first`, "Identity", [first], { T });
    return node(`${name}/merge`, "Merge", [entered(start, T, false), `${name}/next`], { T, N: { i: 2 } });
  };
  const sequences = body.steps.map(fed);
  const states = body.states.map(([before]) => fed(before));
  const same = body.same.map(fed);

  const [zero, one] = [number("zero", 0), number("one", 1)];
  const shapeType = { T: typed(body.steps[0] ?? ""), out_type: int32 };
  const shape = node("shape", "Shape", [sequences[0] ?? ""], shapeType);
  const integers = { Tparams: int32, Tindices: int32, Taxis: int32 };
  const length = node("length", "GatherV2", [shape, zero, zero], integers);
  const count = isCounted ? node("fed/count", "Placeholder", [], { dtype: int32, shape: anyShape }) : length;
  const last = node("last", "Sub", [count, one], { T: int32 });
  const [zeroInside, oneInside] = [entered(zero, int32, true), entered(one, int32, true)];

  const merged = variable("time", backwards ? last : zero, int32);
  const left = backwards
    ? node("left", "GreaterEqual", [merged, zeroInside], { T: int32 })
    : node("left", "Less", [merged, entered(count, int32, true)], { T: int32 });
  const condition = node("condition", "LoopCond", [left]);
  /** Returns the value of a variable within the loop. Its last value is at `NAME/exit`. */
  const current = (name: string, value: string, T: AttributeMessage): string => {
    const branch = node(`${name}/switch`, "Switch", [value, condition], { T });
    node(`${name}/exit`, "Exit", [branch], { T });
    return `${branch}:1`;
  };
  const advance = (name: string, value: string, T: AttributeMessage): void => {
    node(`${name}/next`, "NextIteration", [value], { T });
  };
  const now = current("time", merged, int32);
  advance("time", node("time/moved", backwards ? "Sub" : "Add", [now, oneInside], { T: int32 }), int32);

  const inside = new Map<string, string>();
  body.steps.forEach((name, index) => {
    const all = entered(sequences[index] ?? "", typed(name), true);
    const reading = { Tparams: typed(name), Tindices: int32, Taxis: int32 };
    inside.set(name, node(`step/${plain(name)}`, "GatherV2", [all, now, zeroInside], reading));
  });
  body.same.forEach((name, index) => {
    inside.set(name, entered(same[index] ?? "", typed(name), true));
  });
  body.states.forEach(([name], index) => {
    inside.set(name, current(name, variable(name, states[index] ?? "", typed(name)), typed(name)));
  });
  for (const constant of body.constants) {
    nodes.push(constant);
    inside.set(constant.name, entered(constant.name, constant.attr["dtype"] ?? float, true));
  }
  const within = (name: string): string => inside.get(name) ?? name;
  for (const operation of body.nodes) nodes.push({ ...operation, input: operation.input.map(within) });

  const indices = node("indices", "Range", [zero, length, one], { Tidx: int32 });
  // TensorFlow reads zeros where nothing was written only in a list whose shape it knows.
  const elementShape = (name: string): AttributeMessage =>
    isCounted ? { shape: { dim: body.shapeOf(name).map((size) => ({ size })) } } : anyShape;
  const lists = body.outputs.map((name, index) =>
    node(`list${index}`, "TensorArrayV3", [length], {
      dtype: typed(name),
      element_shape: elementShape(name),
      identical_element_shapes: { b: true },
      tensor_array_name: { s: new TextEncoder().encode(`list${index}`) },
    }),
  );
  // One flow leads through the writes to all lists: a variable for each would cost three operations a step.
  const flow = current("flow", variable("flow", `${lists[0]}:1`, float), float);
  const written = body.outputs.reduce((before, name, index) => {
    const writing = [entered(lists[index] ?? "", resource, true), now, within(name), before];
    return node(`write${index}`, "TensorArrayWriteV3", writing, { T: typed(name) });
  }, flow);
  advance("flow", written, float);
  const outputs = body.outputs.map((name, index) =>
    node(`output${index}`, "TensorArrayGatherV3", [lists[index] ?? "", indices, "flow/exit"], {
      dtype: typed(name),
      element_shape: elementShape(name),
    }),
  );
  for (const [before, after] of body.states) advance(before, within(after), typed(before));
  return {
    nodes,
    inputs: [...sequences, ...states, ...same, ...(isCounted ? [count] : [])],
    results: [...outputs, ...body.states.map(([name]) => `${name}/exit`)],
  };
}

/** Returns the name of a value as part of the name of a node. */
function plain(name: string): string {
  return name.replace(":", "_");
}
