import { tf } from "../tf.ts";

/** What a gradient is computed from. */
export interface GradientCall<A> {
  /** The gradient of the first output. */
  readonly dy: tf.Tensor;
  readonly dys: readonly tf.Tensor[];
  /** What was saved: inputs by name, outputs as `y`, `y1`, … Of those that a rule does not read, only `shape` is there. */
  readonly the: (name: string) => tf.Tensor;
  readonly attributes: A;
}

/** How the gradient of one input is computed. */
export interface InputRule<A> {
  /** The inputs and outputs whose values it reads. */
  readonly reads: readonly string[];
  readonly of: (call: GradientCall<A>) => tf.Tensor;
}

/** The gradient of a kernel. Inputs without a rule are not differentiable: no gradient flows into them. */
export interface GradientRule {
  readonly kernel: string;
  /** The rule of each differentiable input; `*` stands for each of a list, whose names are its positions. */
  readonly inputs: Readonly<Record<string, InputRule<never>>>;
  /** In the order of `saved`: what tfjs keeps when it runs the kernel. */
  readonly saves: readonly string[];
  readonly gradFunc: tf.GradFunc;
}

/** What stands for a saved tensor whose values no gradient reads: its shape. */
export function shapeOnly({ shape, size, rank, dtype }: tf.Tensor): tf.Tensor {
  return { shape, size, rank, dtype, dispose: () => {} } as tf.Tensor;
}

export function isShapeOnly(tensor: tf.Tensor): boolean {
  return !("dataId" in tensor);
}

/** Whether the gradient of `input` is in `rule`. */
export function isDifferentiable(rule: GradientRule, input: string): boolean {
  return input in rule.inputs || "*" in rule.inputs;
}

/** Positions in `saved` of what the gradients of `inputs` read. */
export function positionsRead(rule: GradientRule, inputs: readonly string[]): ReadonlySet<number> {
  const names = inputs.flatMap((input) => (rule.inputs[input] ?? rule.inputs["*"])?.reads ?? []);
  return new Set(names.map((name) => rule.saves.indexOf(name)));
}

/**
 * A rule for a kernel whose inputs have names. Saves the inputs it differentiates (for their shapes) and what it reads. No
 * gradient flows into what it reads and `stops` names; for tfjs's own tape that is zero.
 */
export function rule<A = object>(
  kernel: string,
  inputs: Readonly<Record<string, InputRule<A>>>,
  stops: readonly string[] = [],
): GradientRule {
  const reads = Object.values(inputs).flatMap((input) => input.reads);
  const isOutput = (name: string): boolean => /^y\d*$/.test(name);
  const saves = [
    ...new Set([...Object.keys(inputs), ...reads.filter((name) => !isOutput(name))]),
    ...[...new Set(reads.filter(isOutput))].sort(),
  ];
  const gradFunc: tf.GradFunc = (dy, saved, attributes) => {
    const dys = Array.isArray(dy) ? dy : [dy];
    const the = (name: string): tf.Tensor => saved[saves.indexOf(name)]!;
    const call = { dy: dys[0]!, dys, the, attributes: attributes as A };
    return Object.fromEntries([
      ...Object.entries(inputs).map(([name, { of }]) => [name, () => of(call)] as const),
      ...stops.map((name) => [name, () => tf.zeros(the(name).shape)] as const),
    ]);
  };
  return { kernel, inputs: inputs as GradientRule["inputs"], saves, gradFunc };
}

/** A rule for a kernel that takes a list of inputs. `of` gets the shapes of all of them and the position it is asked for. */
export function listRule<A>(
  kernel: string,
  of: (dy: tf.Tensor, shapes: readonly (readonly number[])[], position: number, attributes: A) => tf.Tensor,
): GradientRule {
  const gradFunc: tf.GradFunc = (dy, saved, attributes) => {
    const shapes = saved.map((input) => input.shape);
    const compute = (position: number): tf.Tensor => of(dy as tf.Tensor, shapes, position, attributes as A);
    return Object.fromEntries(shapes.map((_, position) => [`${position}`, () => compute(position)]));
  };
  return { kernel, inputs: { "*": { reads: [], of: () => tf.scalar(0) } }, saves: ["*"], gradFunc };
}

/** A rule for a kernel of one input `x` that reads nothing but `source`: its input `x` or its output `y`. */
export function unary<A = object>(
  kernel: string,
  source: "x" | "y",
  of: (dy: tf.Tensor, value: tf.Tensor, attributes: A) => tf.Tensor,
): GradientRule {
  return rule<A>(kernel, {
    x: { reads: [source], of: ({ dy, the, attributes }) => of(dy, the(source), attributes) },
  });
}

/** A rule for a kernel of one input that reads no values. `of` gets the input's shape. */
export function linear<A>(
  kernel: string,
  of: (dy: tf.Tensor, shape: readonly number[], attributes: A) => tf.Tensor,
  input = "x",
): GradientRule {
  return rule<A>(kernel, {
    [input]: { reads: [], of: ({ dy, the, attributes }) => of(dy, the(input).shape, attributes) },
  });
}

/** A rule for a kernel that stops gradients: a step function, a comparison, an index. For tfjs's own tape they are zero. */
export function stop(kernel: string, inputs: readonly string[]): GradientRule {
  const gradFunc: tf.GradFunc = (_dy, saved) =>
    Object.fromEntries(inputs.map((name, index) => [name, () => tf.zeros(saved[index]!.shape)]));
  return { kernel, inputs: {}, saves: inputs, gradFunc };
}

/** `tensor` summed over the axes along which `shape` was broadcast to it; a handle of its own. */
export function sumTo(tensor: tf.Tensor, shape: readonly number[]): tf.Tensor {
  if (shape.length === 1 && shape[0] === tensor.shape.at(-1) && tensor.rank > 1) {
    return tf.engine().runKernel("BiasAddGrad", { dy: tensor });
  }
  const lead = tensor.rank - shape.length;
  const axes = tensor.shape.flatMap((size, axis) =>
    axis < lead || (size !== 1 && shape[axis - lead] === 1) ? [axis] : [],
  );
  const summed = axes.length > 0 ? tf.sum(tensor, axes) : tensor;
  if (tf.util.arraysEqual(summed.shape, [...shape])) return summed === tensor ? tensor.clone() : summed;
  return tf.reshape(summed, [...shape]);
}

/** Axes as a sorted list of non-negative numbers; all of them where `axis` is not given. */
export function axesOf(axis: number | readonly number[] | null | undefined, rank: number): number[] {
  const axes =
    axis === null || axis === undefined ? Array.from({ length: rank }, (_, index) => index) : [axis].flat();
  return (axes as number[]).map((value) => (value < 0 ? value + rank : value)).sort((a, b) => a - b);
}

/** `shape` with 1 in the place of each of `axes`. */
export function keptShape(shape: readonly number[], axes: readonly number[]): number[] {
  return shape.map((size, axis) => (axes.includes(axis) ? 1 : size));
}

/** `tensor` repeated along its axes of size 1 until it has `shape`. */
export function broadcast(tensor: tf.Tensor, shape: readonly number[]): tf.Tensor {
  return tf.mul(tensor, tf.ones([...shape]));
}

const computed = new WeakMap<object, Map<string, tf.Tensor[]>>();

/** What the gradients of several inputs have in common: the first that is asked for computes it for the others. */
export function computedOnce(call: object, what: string, compute: () => tf.Tensor[]): tf.Tensor[] {
  const results = computed.get(call) ?? new Map<string, tf.Tensor[]>();
  computed.set(call, results);
  const earlier = results.get(what);
  if (earlier?.every((tensor) => !tensor.isDisposed)) return earlier;
  const fresh = compute();
  results.set(what, fresh);
  return fresh;
}
