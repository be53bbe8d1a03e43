/** @file An ONNX graph while it is being written. */
import { TopologyError } from "../../errors.ts";
import { optionName } from "../../options.ts";
import type { TensorData } from "../../tensor.ts";
import { elementCount, encodeFloat16 } from "../../tensor.ts";
import type { AttributeValue, NodeMessage, TensorMessage } from "./messages.ts";
import { attribute, dataType } from "./messages.ts";
import type {
  ProgramConstant,
  ProgramNode,
  Size,
  TensorProgram,
  ValueId,
  ValueType,
} from "./tensor-program.ts";

/** Name of a value in the graph. */
export type Name = string;

const elementTypes: Readonly<Record<ValueType, number>> = {
  float32: dataType.float,
  int32: dataType.int32,
  bool: dataType.bool,
};

export function elementTypeOf(dtype: ValueType): number {
  return elementTypes[dtype];
}

/** Writes the nodes and initializers of one program's graph. */
export class GraphBuilder {
  readonly nodes: NodeMessage[] = [];
  readonly initializers: TensorMessage[] = [];
  readonly #program: TensorProgram;
  readonly #names = new Map<ValueId, Name>();
  readonly #taken = new Set<Name>();
  /** Initializers by their content, so that equal small ones are written once. */
  readonly #small = new Map<string, Name>();
  #layer = "model";
  #batch: Name | undefined;

  readonly #float16: boolean;

  /** With `float16` floats are stored in half their size and cast back where they are read. */
  constructor(program: TensorProgram, { float16 = false }: { readonly float16?: boolean } = {}) {
    this.#program = program;
    this.#float16 = float16;
    for (const input of program.inputs) {
      this.#names.set(input.id, this.unique(input.name));
    }
  }

  /** Sets the layer that the nodes to come are named after. */
  startLayer(path: string): void {
    this.#layer = path;
  }

  /** Returns a name that no other value has, `base` itself if it is free. */
  unique(base: string): Name {
    let name = base;
    for (let n = 1; this.#taken.has(name); n++) name = `${base}_${n}`;
    this.#taken.add(name);
    return name;
  }

  isFree(name: Name): boolean {
    return !this.#taken.has(name);
  }

  /** Gives a computed value the name that the graph's output has, by a node of its own where it is an input or a constant. */
  rename(from: Name, to: Name): void {
    this.nodes.push({
      name: this.unique(`${to}/Identity`),
      opType: "Identity",
      input: [from],
      output: [to],
      attribute: [],
    });
  }

  /** Adds a node with one output and returns the output's name. */
  add(
    opType: string,
    inputs: readonly Name[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
  ): Name {
    const [output] = this.addMany(opType, inputs, attributes, 1);
    return output ?? "";
  }

  /** Adds a node with `count` outputs and returns their names. */
  addMany(
    opType: string,
    inputs: readonly Name[],
    attributes: Readonly<Record<string, AttributeValue>>,
    count: number,
  ): Name[] {
    const name = this.unique(`${this.#layer}/${opType}`);
    const output = Array.from({ length: count }, (_, index) => this.unique(`${name}:${index}`));
    this.nodes.push({
      name,
      opType,
      input: inputs,
      output,
      attribute: Object.entries(attributes).map(([key, value]) => attribute(key, value)),
    });
    return output;
  }

  /** Returns the name of a program's value, which has been computed or is a constant. */
  name(id: ValueId): Name {
    const known = this.#names.get(id);
    if (known !== undefined) return known;
    const constant = this.#program.constants.get(id);
    if (!constant) throw new Error(`ONNX graph: value ${id} is read before it is computed`);
    const name = this.#constant(constant);
    this.#names.set(id, name);
    return name;
  }

  /** Says which name a program's value has. */
  bind(id: ValueId, name: Name): void {
    this.#names.set(id, name);
  }

  /** Returns the constant behind a value whose shape does not grow with the batch, undefined for any other value. */
  constant(id: ValueId): (ProgramConstant & { readonly shape: readonly number[] }) | undefined {
    const constant = this.#program.constants.get(id);
    return constant && isFixed(constant.shape) ? { ...constant, shape: constant.shape } : undefined;
  }

  /** The shape and dtype of an input of a node. */
  value(id: ValueId): { readonly shape: readonly Size[]; readonly dtype: ValueType } {
    const found =
      this.#program.constants.get(id) ??
      this.#program.inputs.find((input) => input.id === id) ??
      this.#values().get(id);
    if (!found) throw new Error(`ONNX graph: no value ${id}`);
    return found;
  }

  #computed: Map<ValueId, ProgramNode["outputs"][number]> | undefined;
  #values(): Map<ValueId, ProgramNode["outputs"][number]> {
    this.#computed ??= new Map(
      this.#program.nodes.flatMap((node) => node.outputs.map((output) => [output.id, output] as const)),
    );
    return this.#computed;
  }

  floats(values: readonly number[], dims: readonly number[] = [values.length]): Name {
    return this.initializer("float", dims, dataType.float, Float32Array.from(values));
  }

  /** A scalar of a dtype. */
  scalar(value: number, dtype: ValueType = "float32"): Name {
    if (dtype === "float32") return this.floats([value], []);
    if (dtype === "int32") return this.initializer("int", [], dataType.int32, Int32Array.of(value));
    return this.initializer("bool", [], dataType.bool, Uint8Array.of(value));
  }

  /** A vector of int64, what ONNX takes shapes, axes and positions as. */
  integers(values: readonly number[]): Name {
    return this.initializer("sizes", [values.length], dataType.int64, BigInt64Array.from(values, BigInt));
  }

  initializer(base: string, dims: readonly number[], type: number, values: TensorData): Name {
    const rawData = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    const key = rawData.length <= 64 ? `${type}:${dims}:${rawData}` : undefined;
    const known = key === undefined ? undefined : this.#small.get(key);
    if (known !== undefined) return known;
    if (this.#float16 && key === undefined && values instanceof Float32Array)
      return this.#half(base, dims, values);
    const name = this.unique(base);
    if (key !== undefined) this.#small.set(key, name);
    this.initializers.push({ name, dims, dataType: type, rawData });
    return name;
  }

  /** Floats stored as float16. @throws {TopologyError} for numbers that are too large for it. */
  #half(base: string, dims: readonly number[], values: Float32Array): Name {
    const beyond = values.find((value) => Math.abs(value) >= 65520);
    if (beyond !== undefined) {
      throw new TopologyError(
        `${base}: ${optionName("float16")}: expected numbers below 65520, got ${beyond}. Write float32.`,
        "float16-range",
      );
    }
    return this.add("Cast", [this.initializer(base, dims, dataType.float16, encodeFloat16(values))], {
      to: dataType.float,
    });
  }

  /** A vector of int64 with sizes of which some grow with the batch. */
  sizes(sizes: readonly Size[]): Name {
    if (isFixed(sizes)) return this.integers(sizes);
    const parts = sizes.map((size) =>
      typeof size === "number" ? this.integers([size]) : this.#growing(size),
    );
    return this.add("Concat", parts, { axis: 0 });
  }

  /** A shape for Reshape: the one size that grows with the batch is left to ONNX. */
  targetShape(shape: readonly Size[]): Name {
    const growing = shape.filter((size) => typeof size !== "number");
    if (growing.length !== 1 || shape.includes(0)) return this.sizes(shape);
    return this.integers(shape.map((size) => (typeof size === "number" ? size : -1)));
  }

  /** A tensor of one value everywhere. */
  filled(value: number, shape: readonly Size[], dtype: ValueType): Name {
    return this.add("Expand", [this.scalar(value, dtype), this.sizes(shape)]);
  }

  #growing({ perSample, fixed }: Exclude<Size, number>): Name {
    this.#batch ??= this.#batchSize();
    const scaled = perSample === 1 ? this.#batch : this.add("Mul", [this.#batch, this.integers([perSample])]);
    return fixed === 0 ? scaled : this.add("Add", [scaled, this.integers([fixed])]);
  }

  #batchSize(): Name {
    const [input] = this.#program.inputs;
    const shape = this.add("Shape", [this.name(input?.id ?? 0)]);
    return this.add("Slice", [shape, this.integers([0]), this.integers([1])]);
  }

  #constant(constant: ProgramConstant): Name {
    const { shape, dtype, values, weight } = constant;
    const base = weight ?? `${this.#layer}/constant`;
    if (isFixed(shape)) return this.initializer(base, shape, elementTypeOf(dtype), stored(values, dtype));
    return this.#grown(constant);
  }

  /** A constant that repeats along the axis that grows with the batch. */
  #grown({ shape, dtype, values }: ProgramConstant): Name {
    const [first] = values;
    if (values.every((value: number | bigint) => value === first) && first !== undefined) {
      return this.filled(Number(first), shape, dtype);
    }
    const [samples, ...rest] = shape;
    if (typeof samples !== "number" && samples?.perSample === 1 && samples.fixed === 0 && isFixed(rest)) {
      const row = elementCount(rest);
      const repeats = values.every((value: number | bigint, index: number) => value === values[index % row]);
      if (repeats) {
        const one = stored(values.slice(0, row), dtype);
        const name = this.initializer(`${this.#layer}/constant`, [1, ...rest], elementTypeOf(dtype), one);
        return this.add("Expand", [name, this.sizes(shape)]);
      }
    }
    throw new TopologyError(
      `${this.#layer}: ONNX: expected constants that are the same for every sample, got one that differs. Keep the Keras file for this model.`,
      "no-onnx-form",
    );
  }
}

export function isFixed(shape: readonly Size[]): shape is readonly number[] {
  return shape.every((size) => typeof size === "number");
}

function stored(values: TensorData, dtype: ValueType): TensorData {
  if (dtype === "bool") return Uint8Array.from(values as Uint8Array);
  return dtype === "int32" ? Int32Array.from(values as Int32Array) : (values as Float32Array);
}
