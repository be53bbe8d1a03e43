/**
 * @file Convolutions and matrix products in bfloat16 on processors whose vector unit multiplies it (AVX512_BF16): factors are rounded,
 * products added up in float32, and the result rounded once more. Keras computes so under `mixed_bfloat16`, where it keeps
 * activations in bfloat16 too.
 */
import { elementCount, sizeAt } from "../tensor.ts";
import type { NativeBackend, OpAttribute } from "./native-engine.ts";
import type { tf } from "./tf.ts";

/** TensorFlow's number of the type bfloat16 (`tensorflow/core/framework/types.proto`). */
const bfloat16 = 14;
/** Multiply-adds for each element that is cast, and in all, from which casting costs less than it saves. */
const leastPerElement = 40;
const leastInAll = 2 ** 22;

interface Work {
  readonly multiplyAdds: number;
  /** Elements of inputs and output. */
  readonly elements: number;
}

type Inputs = readonly tf.TensorInfo[];
type Measure = (inputs: Inputs, attributes: readonly OpAttribute[], backend: NativeBackend) => Work;

const product: Measure = ([a, b], attributes) => {
  const [left, right] = [a?.shape ?? [], b?.shape ?? []];
  const isTransposed = (...names: readonly string[]): boolean =>
    attributes.some(({ name, value }) => names.includes(name) && value === true);
  const columns = sizeAt(right, isTransposed("transpose_b", "adj_y") ? -2 : -1);
  const [leftSize, rightSize] = [elementCount(left), elementCount(right)];
  const depth = sizeAt(left, isTransposed("transpose_a", "adj_x") ? -2 : -1);
  const multiplyAdds = leftSize * columns;
  return { multiplyAdds, elements: leftSize + rightSize + multiplyAdds / depth };
};

const convolution: Measure = ([x, filter], attributes) => {
  const { value } = attributes.find(({ name }) => name === "strides") ?? { value: [1, 1, 1, 1] };
  const [, down = 1, across = 1] = value as readonly number[];
  const positions = elementCount(x?.shape.slice(0, 3) ?? []) / (down * across);
  return ofConvolution(positions, filter?.shape ?? [], elementCount(x?.shape ?? []));
};

const inputGradient: Measure = ([, filter, dy]) =>
  ofConvolution(
    elementCount(dy?.shape.slice(0, 3) ?? []),
    filter?.shape ?? [],
    elementCount(dy?.shape.slice(0, 3) ?? []) * sizeAt(filter?.shape ?? [], 2),
  );

const filterGradient: Measure = ([x, filterShape, dy], _attributes, backend) =>
  ofConvolution(
    elementCount(dy?.shape.slice(0, 3) ?? []),
    filterShape ? Array.from(backend.readSync(filterShape.dataId) as Int32Array) : [],
    elementCount(x?.shape ?? []),
  );

/** The work of a convolution, or of one of its gradients, which multiply as much. */
function ofConvolution(positions: number, filter: readonly number[], inputElements: number): Work {
  const multiplyAdds = positions * elementCount(filter);
  return { multiplyAdds, elements: inputElements + elementCount(filter) + positions * sizeAt(filter, -1) };
}

const measures: Readonly<Record<string, Measure>> = {
  MatMul: product,
  BatchMatMulV2: product,
  Conv2D: convolution,
  _MklNativeConv2DWithBias: convolution,
  Conv2DBackpropInput: inputGradient,
  Conv2DBackpropFilter: filterGradient,
};

/** Makes a backend compute large convolutions and matrix products in bfloat16. Tensors stay float32. */
export function computeInBfloat16(backend: NativeBackend): void {
  const inFloat32 = backend.executeSingleOutput.bind(backend);
  backend.executeSingleOutput = (name, attributes, inputs) => {
    const work = measures[name]?.(inputs, attributes, backend);
    const pays =
      work !== undefined &&
      work.multiplyAdds >= leastInAll &&
      work.multiplyAdds >= leastPerElement * work.elements &&
      attributes.some((each) => each.name === "T" && each.value === backend.binding.TF_FLOAT);
    return pays ? rounded(backend, name, attributes, inputs) : inFloat32(name, attributes, inputs);
  };
}

/** Runs an operation on casts of its float32 inputs, and casts its output back. */
function rounded(
  backend: NativeBackend,
  name: string,
  attributes: readonly OpAttribute[],
  inputs: Inputs,
): tf.Tensor {
  const { binding } = backend;
  const { TF_FLOAT: float32, TF_ATTR_TYPE: type } = binding;
  const temporary: number[] = [];
  const run = (operation: string, given: readonly OpAttribute[], ids: readonly number[]): number => {
    const [output] = binding.executeOp(operation, given, ids, 1);
    if (!output) throw new Error(`${operation}: expected an output, got none`);
    temporary.push(output.id);
    return output.id;
  };
  const casting = (from: number, to: number): OpAttribute[] => [
    { name: "SrcT", type, value: from },
    { name: "DstT", type, value: to },
    { name: "Truncate", type: binding.TF_ATTR_BOOL, value: false },
  ];
  try {
    const ids = backend.getInputTensorIds(inputs);
    const factors = ids.map((id, index) =>
      inputs[index]?.dtype === "float32" ? run("Cast", casting(float32, bfloat16), [id]) : id,
    );
    const own = attributes.map((each) => (each.name === "T" ? { ...each, value: bfloat16 } : each));
    const result = run(name, own, factors);
    const [output] = binding.executeOp("Cast", casting(bfloat16, float32), [result], 1);
    if (!output) throw new Error("Cast: expected an output, got none");
    return backend.createOutputTensor(output);
  } finally {
    for (const id of temporary) binding.deleteTensor(id);
  }
}
