import { tf } from "../tf.ts";

/** The values from which a gradient is computed. */
export interface GradientCall<A> {
  /** The gradient of the first output. */
  readonly dy: tf.Tensor;
  readonly dys: readonly tf.Tensor[];
  /**
   * Returns a saved tensor: inputs by name, outputs as `y`, `y1`, … Only the `shape` of those that a rule does not read
   * is available.
   */
  readonly the: (name: string) => tf.Tensor;
  readonly attributes: A;
}

/** The computation of the gradient of one input. */
export interface InputRule<A> {
  /** The inputs and outputs whose values it reads. */
  readonly reads: readonly string[];
  readonly of: (call: GradientCall<A>) => tf.Tensor;
}

/** The gradient of a kernel. Inputs without a rule are not differentiable: no gradient flows into them. */
export interface GradientRule {
  readonly kernel: string;
  /** The rule of each differentiable input. `*` stands for each input of a list, whose names are its positions. */
  readonly inputs: Readonly<Record<string, InputRule<never>>>;
  /** The names of the tensors that tfjs keeps when it runs the kernel, in the order of `saved`. */
  readonly saves: readonly string[];
  readonly gradFunc: tf.GradFunc;
}

/** Returns a substitute, with the shape only, for a saved tensor whose values no gradient reads. */
export function shapeOnly({ shape, size, rank, dtype }: tf.Tensor): tf.Tensor {
  return { shape, size, rank, dtype, dispose: () => {} } as tf.Tensor;
}

export function isShapeOnly(tensor: tf.Tensor): boolean {
  return !("dataId" in tensor);
}

/** Returns true if `rule` has a gradient for `input`. */
export function isDifferentiable(rule: GradientRule, input: string): boolean {
  return input in rule.inputs || "*" in rule.inputs;
}

/** Returns the positions in `saved` of the tensors that the gradients of `inputs` read. */
export function positionsRead(rule: GradientRule, inputs: readonly string[]): ReadonlySet<number> {
  const names = inputs.flatMap((input) => (rule.inputs[input] ?? rule.inputs["*"])?.reads ?? []);
  return new Set(names.map((name) => rule.saves.indexOf(name)));
}

/**
 * Creates a rule for a kernel whose inputs have names. It saves the inputs that it differentiates, for their shapes,
 * and the tensors that it reads.
 * @param stops Inputs that it reads and that get no gradient. On tfjs's own tape their gradient is zero.
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
    const the = (name: string): tf.Tensor => {
      const tensor = saved[saves.indexOf(name)];
      if (!tensor) throw new Error(`gradient of ${kernel}: ${name} is not saved`);
      return tensor;
    };
    const call = { dy: dys[0] as tf.Tensor, dys, the, attributes: attributes as A };
    return Object.fromEntries([
      ...Object.entries(inputs).map(([name, { of }]) => [name, () => of(call)] as const),
      ...stops.map((name) => [name, () => tf.zeros(the(name).shape)] as const),
    ]);
  };
  return { kernel, inputs: inputs as GradientRule["inputs"], saves, gradFunc };
}

/** An input of a kernel that takes a list. */
interface ListedInput {
  readonly shape: readonly number[];
  readonly position: number;
  /** The shapes of the inputs before it. */
  readonly earlier: readonly (readonly number[])[];
}

/**
 * Creates a rule for a kernel that takes a list of inputs.
 * @param of Computes the gradient of one input of the list.
 */
export function listRule<A>(
  kernel: string,
  of: (dy: tf.Tensor, input: ListedInput, attributes: A) => tf.Tensor,
): GradientRule {
  const gradFunc: tf.GradFunc = (dy, saved, attributes) => {
    const shapes = saved.map((input) => input.shape);
    const compute = (shape: readonly number[], position: number): tf.Tensor =>
      of(dy as tf.Tensor, { shape, position, earlier: shapes.slice(0, position) }, attributes as A);
    return Object.fromEntries(
      shapes.map((shape, position) => [`${position}`, () => compute(shape, position)]),
    );
  };
  return { kernel, inputs: { "*": { reads: [], of: () => tf.scalar(0) } }, saves: ["*"], gradFunc };
}

/** Creates a rule for a kernel of one input `x` that reads only `source`, which is its input `x` or its output `y`. */
export function unary<A = object>(
  kernel: string,
  source: "x" | "y",
  of: (dy: tf.Tensor, value: tf.Tensor, attributes: A) => tf.Tensor,
): GradientRule {
  return rule<A>(kernel, {
    x: { reads: [source], of: ({ dy, the, attributes }) => of(dy, the(source), attributes) },
  });
}

/** Creates a rule for a kernel of one input that reads no values. `of` receives the input's shape. */
export function linear<A>(
  kernel: string,
  of: (dy: tf.Tensor, shape: readonly number[], attributes: A) => tf.Tensor,
  input = "x",
): GradientRule {
  return rule<A>(kernel, {
    [input]: { reads: [], of: ({ dy, the, attributes }) => of(dy, the(input).shape, attributes) },
  });
}

/**
 * Creates a rule for a kernel that stops gradients: a step function, a comparison, an index. On tfjs's own tape the
 * gradients are zero.
 */
export function stop(kernel: string, inputs: readonly string[]): GradientRule {
  const gradFunc: tf.GradFunc = (_dy, saved) =>
    Object.fromEntries(saved.map(({ shape }, index) => [inputs[index] ?? `${index}`, () => tf.zeros(shape)]));
  return { kernel, inputs: {}, saves: inputs, gradFunc };
}

/** Sums `tensor` over the axes along which `shape` was broadcast to it. Returns a new handle. */
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

/** Returns axes as a sorted list of non-negative numbers, all axes if `axis` is absent. */
export function axesOf(axis: number | readonly number[] | null | undefined, rank: number): number[] {
  const axes =
    axis === null || axis === undefined ? Array.from({ length: rank }, (_, index) => index) : [axis].flat();
  return (axes as number[]).map((value) => axisOf(value, rank)).sort((a, b) => a - b);
}

/** Returns an axis as a non-negative number. */
export function axisOf(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}

/** Returns `shape` with 1 in place of each of `axes`. */
export function keptShape(shape: readonly number[], axes: readonly number[]): number[] {
  return shape.map((size, axis) => (axes.includes(axis) ? 1 : size));
}

/** Repeats `tensor` along its axes of size 1 to `shape`. */
export function broadcast(tensor: tf.Tensor, shape: readonly number[]): tf.Tensor {
  return tf.engine().runKernel("Broadcast", { x: tensor }, { shape: [...shape] });
}

const computed = new WeakMap<object, Map<string, readonly tf.Tensor[]>>();

/**
 * Shares a computation among the gradients of several inputs of one call: the first that is requested computes it for
 * all.
 */
export function computedOnce<Results extends readonly tf.Tensor[]>(
  call: object,
  what: string,
  compute: () => Results,
): Results {
  const results = computed.get(call) ?? new Map<string, readonly tf.Tensor[]>();
  computed.set(call, results);
  const earlier = results.get(what) as Results | undefined;
  if (earlier?.every((tensor) => !tensor.isDisposed)) return earlier;
  const fresh = compute();
  results.set(what, fresh);
  return fresh;
}
