/** @file A record of the kernels that a computation runs: what an exporter of another runtime's graph reads. */
import { tf } from "./tf.ts";

/** Number of a tensor in a trace, which is tfjs's own `id`. */
export type TracedId = number;

export interface TracedTensor {
  readonly id: TracedId;
  readonly shape: readonly number[];
  readonly dtype: tf.DataType;
}

/** One kernel call: the kernel's name, its tensors and its attributes, as tfjs was asked for them. */
export interface TracedCall {
  readonly kernel: string;
  /** Input tensors by tfjs's names for them, or by position (`"0"`, `"1"`, …) where a kernel takes a list. */
  readonly inputs: Readonly<Record<string, TracedId>>;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly outputs: readonly TracedTensor[];
  /** The section that was set at the time of the call. */
  readonly section: string;
}

/** A tensor that does not depend on a source: a weight, or a constant that a layer made. */
export interface TracedConstant extends TracedTensor {
  readonly values: Float32Array | Int32Array | Uint8Array;
}

export interface Trace {
  /** The calls that depend on a source, in running order. */
  readonly calls: readonly TracedCall[];
  readonly constants: ReadonlyMap<TracedId, TracedConstant>;
  readonly outputs: readonly TracedTensor[];
}

export interface TraceOptions {
  /** The tensors that stand for the computation's inputs. */
  readonly sources: readonly tf.Tensor[];
  /** Kernels that are recorded as one call. Any other stands as the kernels that it runs itself. */
  readonly known: ReadonlySet<string>;
  /** Handles values that depend on a source and are read into JavaScript, where no trace can follow. */
  readonly onRead: (section: string) => never;
  /** Handles a kernel that depends on a source and is neither known nor made of known ones. */
  readonly onUnknown: (kernel: string, section: string) => never;
}

type KernelResult = tf.Tensor | tf.Tensor[];
type KernelInputs = Readonly<Record<string, tf.Tensor | undefined>>;

/** The part of tfjs's engine that every operation goes through. */
interface KernelRunner {
  runKernel(name: string, inputs: KernelInputs, attributes?: object): KernelResult;
}

/**
 * Runs `compute` and returns every kernel call on the way from `sources` to its results. `compute` gets a function that names
 * the section that the coming calls belong to. The caller owns the tensors that `compute` returns. Traces do not nest.
 */
export function traceKernels(
  compute: (section: (name: string) => void) => readonly tf.Tensor[],
  { sources, known, onRead, onUnknown }: TraceOptions,
): Trace {
  const runner = tf.engine() as unknown as KernelRunner;
  const { runKernel } = runner;
  const reader: { dataSync: tf.Tensor["dataSync"] } = tf.Tensor.prototype;
  const { dataSync } = reader;
  const calls: TracedCall[] = [];
  const constants = new Map<TracedId, TracedConstant>();
  const dependent = new Set<TracedId>(sources.map(({ id }) => id));
  let section = "";
  let isInside = false;

  const insideOf = <T>(action: () => T): T => {
    isInside = true;
    try {
      return action();
    } finally {
      isInside = false;
    }
  };
  const remembered = (tensor: tf.Tensor): TracedId => {
    const { id, shape, dtype } = tensor;
    if (dependent.has(id) || constants.has(id)) return id;
    const values = insideOf(() => dataSync.call(tensor)) as Float32Array;
    constants.set(id, { id, shape: [...shape], dtype, values: values.slice() });
    return id;
  };

  runner.runKernel = (kernel, inputs, attributes = {}) => {
    const run = (): KernelResult => runKernel.call(runner, kernel, inputs, attributes);
    const given = Object.entries(inputs).flatMap(([name, tensor]) =>
      tensor ? [[name, tensor] as const] : [],
    );
    if (isInside || !given.some(([, { id }]) => dependent.has(id))) return run();
    if (!known.has(kernel)) {
      const result = run();
      if (!tensorsOf(result).every(({ id }) => dependent.has(id))) onUnknown(kernel, section);
      return result;
    }
    const ids = Object.fromEntries(given.map(([name, tensor]) => [name, remembered(tensor)]));
    const result = insideOf(run);
    const outputs = tensorsOf(result).map(({ id, shape, dtype }) => ({ id, shape: [...shape], dtype }));
    for (const { id } of outputs) dependent.add(id);
    calls.push({ kernel, inputs: ids, attributes: { ...attributes }, outputs, section });
    return result;
  };
  reader.dataSync = function read(this: tf.Tensor) {
    if (!isInside && dependent.has(this.id)) onRead(section);
    return dataSync.call(this) as never;
  };
  try {
    const results = compute((name) => {
      section = name;
    });
    const outputs = results.map((tensor) => ({
      id: remembered(tensor),
      shape: [...tensor.shape],
      dtype: tensor.dtype,
    }));
    return { calls, constants, outputs };
  } finally {
    runner.runKernel = runKernel;
    reader.dataSync = dataSync;
  }
}

function tensorsOf(result: KernelResult): readonly tf.Tensor[] {
  return Array.isArray(result) ? result : [result];
}
