/**
 * @file The kernels of a computation, recorded while it runs and called again without the code around them. A small step spends most of
 * its time in that code: the checks of operations, the tape, the handles that its tensors are kept by. What is called again are the
 * same kernels on the same shapes, so the results are the same to the bit.
 */
import { tf } from "./tf.ts";

/** A computation that has run, with its kernels. */
export interface RecordedKernels {
  /** The results, which the caller owns. */
  readonly results: readonly tf.Tensor[];
  /** Takes tensors of the shapes of the inputs, then of those taken, which stay the caller's, and gives results that the caller owns. */
  readonly replay: KernelReplay;
}

export interface KernelReplay {
  /** The bytes of all tensors that the kernels make. */
  readonly bytes: number;
  /** The number of kernels that are called. */
  readonly kernels: number;
  run(inputs: readonly tf.Tensor[]): tf.Tensor[];
  /** Releases the tensors that are the same each time. */
  dispose(): void;
}

/** Makes a tensor that the replay is given anew each time it runs, and adds it to its inputs. */
export type Take = (make: () => tf.Tensor) => tf.Tensor;

/** Position of a tensor among all those of a computation: its inputs, what it makes of host values, and what kernels give. */
type Slot = number;

/** Inputs of a kernel: by name, or in a list. */
type Named<T> = Readonly<Record<string, T>> | readonly T[];

interface RecordedKernel {
  readonly compute: tf.KernelFunc;
  readonly inputs: Named<Slot | null | undefined>;
  readonly attributes: tf.NamedAttrMap | undefined;
  readonly outputs: readonly Slot[];
}

/** A kernel with the slots that nobody reads after it. */
interface ReplayedKernel extends RecordedKernel {
  readonly released: readonly Slot[];
}

/** The part of tfjs's engine that every operation goes through. */
interface Engine {
  readonly backendName: string;
  readonly backend: tf.KernelBackend;
  runKernel(name: string, inputs: Named<tf.Tensor | null | undefined>, attributes?: object): Output;
  makeTensor(...given: readonly unknown[]): tf.Tensor;
  makeTensorFromTensorInfo(info: tf.TensorInfo): tf.Tensor;
}

type Output = tf.Tensor | tf.Tensor[];

/**
 * Runs a computation and records its kernels.
 * @param inputs All that it reads but for what it makes itself or takes.
 * @throws {Error} if it reads anything else or looks at values.
 */
export function recordKernels(
  inputs: readonly tf.Tensor[],
  compute: (take: Take) => readonly tf.Tensor[],
): RecordedKernels {
  const engine = tf.engine() as unknown as Engine;
  const { backendName } = engine;
  const slots = new Map<number, Slot>();
  /** The tensors whose values other handles stand for. */
  const sources = new Map<number, tf.Tensor>();
  const made = new Set<number>();
  const fed: Slot[] = [];
  const constants: { readonly slot: Slot; readonly tensor: tf.Tensor }[] = [];
  const kernels: RecordedKernel[] = [];
  let count = 0;
  let bytes = 0;
  const slotOf = (tensor: tf.Tensor): Slot => {
    const known = slots.get(tensor.id);
    if (known !== undefined) return known;
    const source = sources.get(tensor.id);
    if (source) return slotOf(source);
    if (!made.delete(tensor.id)) throw new Error("replay: a computation reads a tensor that it is not given");
    return constant(tensor);
  };
  const newSlot = (tensor: tf.Tensor): Slot => {
    if (slots.has(tensor.id)) throw new Error("replay: a kernel gives a tensor that is there already");
    slots.set(tensor.id, count);
    return count++;
  };
  const constant = (tensor: tf.Tensor): Slot => {
    const slot = newSlot(tensor);
    constants.push({ slot, tensor: hooks.apart(() => tf.keep(tensor.clone())) });
    return slot;
  };
  const record = (
    name: string,
    given: Parameters<Engine["runKernel"]>[1],
    attributes: object | undefined,
    output: Output,
  ): void => {
    const outputs = Array.isArray(output) ? output : [output];
    const read = mapped(given, (tensor) => tensor && slotOf(tensor));
    if (Object.values(read).length === 0) {
      for (const tensor of outputs) constant(tensor);
    } else {
      const kernel = tf.getKernel(name, backendName);
      const attrs = attributes as tf.NamedAttrMap | undefined;
      for (const { size, dtype } of outputs) bytes += size * tf.util.bytesPerElement(dtype);
      kernels.push({
        ...{ compute: kernel.kernelFunc, inputs: read, attributes: attrs },
        outputs: outputs.map(newSlot),
      });
    }
  };
  const hooks = hooked(engine, {
    kernel: record,
    tensor: ({ id }) => made.add(id),
    handle: ({ id }, source) => sources.set(id, source),
  });
  for (const input of inputs) {
    if (!slots.has(input.id)) slots.set(input.id, count);
    fed.push(count++);
  }
  const take: Take = (make) => {
    const input = hooks.apart(make);
    fed.push(newSlot(input));
    return input;
  };
  try {
    const results = hooks.within(() => compute(take));
    const wanted = results.map(slotOf);
    return { results, replay: replayOf({ fed, constants, kernels, wanted, count, bytes }) };
  } catch (error) {
    tf.dispose(constants.map(({ tensor }) => tensor));
    throw error;
  }
}

interface Listener {
  /** Takes a kernel that has run. */
  kernel(
    name: string,
    inputs: Named<tf.Tensor | null | undefined>,
    attributes: object | undefined,
    output: Output,
  ): void;
  /** Takes a tensor of host values. */
  tensor(tensor: tf.Tensor): void;
  /** Takes another handle of a tensor. */
  handle(tensor: tf.Tensor, source: tf.Tensor): void;
}

/** Replaces the parts of the engine that a recording listens to while it runs. */
function hooked(
  engine: Engine,
  listener: Listener,
): { within<T>(compute: () => T): T; apart<T>(compute: () => T): T } {
  const reader: { dataSync: tf.Tensor["dataSync"]; data: tf.Tensor["data"] } = tf.Tensor.prototype;
  const { dataSync, data } = reader;
  const { runKernel, makeTensor } = engine;
  // True within a kernel, which is recorded as a whole, and in what is no part of the computation.
  let isInside = false;
  const inside = <T>(action: () => T): T => {
    const before = isInside;
    isInside = true;
    try {
      return action();
    } finally {
      isInside = before;
    }
  };
  const refused = <T>(read: () => T): T => {
    if (!isInside) throw new Error("replay: a computation looks at values");
    return read();
  };
  return {
    apart: inside,
    within: (compute) => {
      engine.runKernel = (name, inputs, attributes) => {
        const run = (): Output => runKernel.call(engine, name, inputs, attributes);
        // Also within a kernel: what it keeps for its gradient are other handles.
        const isHandle = name === "Identity";
        const output = isInside ? run() : inside(run);
        if (isHandle) listener.handle(output as tf.Tensor, Object.values(inputs)[0] as tf.Tensor);
        else if (!isInside) listener.kernel(name, inputs, attributes, output);
        return output;
      };
      engine.makeTensor = (...given) => {
        const tensor = makeTensor.apply(engine, [...given]);
        if (!isInside) listener.tensor(tensor);
        return tensor;
      };
      Object.assign(reader, {
        dataSync(this: tf.Tensor) {
          return refused(() => dataSync.call(this));
        },
        data(this: tf.Tensor) {
          return refused(() => data.call(this));
        },
      });
      try {
        return compute();
      } finally {
        Object.assign(engine, { runKernel, makeTensor });
        Object.assign(reader, { dataSync, data });
      }
    },
  };
}

interface Recorded {
  /** The slot of each input. */
  readonly fed: readonly Slot[];
  readonly constants: readonly { readonly slot: Slot; readonly tensor: tf.Tensor }[];
  readonly kernels: readonly RecordedKernel[];
  /** The slot of each result. */
  readonly wanted: readonly Slot[];
  readonly count: number;
  readonly bytes: number;
}

function replayOf({ fed, constants, kernels, wanted, count, bytes }: Recorded): KernelReplay {
  const engine = tf.engine() as unknown as Engine;
  const replayed = withReleases(kernels, new Set(wanted));
  const values = new Array<tf.Tensor | undefined>(count);
  for (const { slot, tensor } of constants) values[slot] = tensor;
  const given = new Set([...fed, ...constants.map(({ slot }) => slot)]);
  const borrowed = wanted.map((slot, index) => given.has(slot) || wanted.indexOf(slot) < index);
  const compute = (): tf.Tensor[] => {
    const { backend } = engine;
    for (const { compute: kernel, inputs, attributes, outputs, released } of replayed) {
      const output = kernel({
        inputs: mapped(inputs, (slot) => (typeof slot === "number" ? values[slot] : slot)) as never,
        ...(attributes && { attrs: attributes }),
        backend,
      });
      if (Array.isArray(output))
        for (let index = 0; index < outputs.length; index++)
          values[outputs[index] as Slot] = tensorOf(engine, output[index] as tf.TensorInfo);
      else values[outputs[0] as Slot] = tensorOf(engine, output);
      for (const slot of released) {
        values[slot]?.dispose();
        values[slot] = undefined;
      }
    }
    return wanted.map((slot, index) => {
      const result = values[slot] as tf.Tensor;
      return borrowed[index] ? result.clone() : result;
    });
  };
  return {
    bytes,
    kernels: kernels.length,
    run: (inputs) => {
      fed.forEach((slot, index) => {
        values[slot] = inputs[index];
      });
      return tf.tidy(compute);
    },
    dispose: () => tf.dispose(constants.map(({ tensor }) => tensor)),
  };
}

/** Returns the kernels with what is released after each: all that kernels gave but the results. */
function withReleases(kernels: readonly RecordedKernel[], kept: ReadonlySet<Slot>): ReplayedKernel[] {
  const last = new Map<Slot, number>();
  const fromKernels = new Set<Slot>();
  for (const [index, { inputs, outputs }] of kernels.entries()) {
    for (const slot of Object.values(inputs))
      if (fromKernels.has(slot as Slot)) last.set(slot as Slot, index);
    for (const slot of outputs) {
      fromKernels.add(slot);
      last.set(slot, index);
    }
  }
  const released = kernels.map((): Slot[] => []);
  for (const [slot, index] of last) if (!kept.has(slot)) released[index]?.push(slot);
  return kernels.map((kernel, index) => ({ ...kernel, released: released[index] ?? [] }));
}

/** Returns a kernel's output as a tensor: some kernels give one, others only its facts. */
function tensorOf(engine: Engine, output: tf.TensorInfo): tf.Tensor {
  return "rank" in output ? (output as tf.Tensor) : engine.makeTensorFromTensorInfo(output);
}

function mapped<T, R>(inputs: Named<T>, map: (input: T) => R): Named<R> {
  if (Array.isArray(inputs)) return inputs.map(map);
  const result: Record<string, R> = {};
  for (const name in inputs) result[name] = map((inputs as Readonly<Record<string, T>>)[name] as T);
  return result;
}
