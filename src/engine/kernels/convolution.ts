/** @file A convolution with its bias. */
import { rule } from "../gradients/rule.ts";
import { convolutionInputs } from "../gradients/spatial.ts";
import type { NativeBackend, OpAttribute } from "../native-engine.ts";
import { tf } from "../tf.ts";
import { labelled, oneDnnHas } from "./one-dnn.ts";
import type { OwnKernel, Tensors } from "./own-kernel.ts";
import { attribute, run } from "./own-kernel.ts";

interface Attributes {
  readonly strides: [number, number];
  readonly pad: "same" | "valid";
}

type Inputs = Tensors<"x" | "filter" | "bias">;

/** Returns the attributes of tfjs's convolution kernels and of their gradients. */
export const undilated = ({ strides, pad }: Attributes): object => ({
  strides,
  pad,
  dataFormat: "NHWC",
  dilations: [1, 1],
});

export const convolutionKernels: readonly OwnKernel[] = [
  {
    name: "Conv2DBias",
    native: (backend, inputs: Inputs, attributes: Attributes) =>
      fusedIsThere(backend) ? fused(backend, inputs, attributes) : separate(inputs, attributes),
    portable: ({ x, filter, bias }: Inputs, attributes: Attributes) =>
      run("FusedConv2D", { x, filter, bias }, { ...undilated(attributes), activation: "linear" }),
    gradient: rule<Attributes>("Conv2DBias", {
      ...convolutionInputs({ input: "Conv2DBackpropInput", filter: "Conv2DBackpropFilter" }, undilated),
      bias: { reads: [], of: ({ dy }) => run("BiasAddGrad", { dy }) },
    }),
  },
];

const fusedName = "_MklNativeConv2DWithBias";

function fused(backend: NativeBackend, { x, filter, bias }: Inputs, { strides, pad }: Attributes): tf.Tensor {
  const { TF_ATTR_INT: type } = backend.binding;
  const attributes: OpAttribute[] = [
    attribute.float(backend, "T"),
    { name: "strides", type, value: [1, ...strides, 1] },
    attribute.text(backend, "padding", pad.toUpperCase()),
    labelled(backend),
  ];
  return backend.executeSingleOutput(fusedName, attributes, [x, filter, bias]);
}

function separate({ x, filter, bias }: Inputs, attributes: Attributes): tf.Tensor {
  const convolved = run<tf.Tensor>("Conv2D", { x, filter }, undilated(attributes));
  return run("BiasAdd", { x: convolved, bias });
}

function fusedIsThere(backend: NativeBackend): boolean {
  return oneDnnHas(backend, fusedName, (probe) => {
    const inputs = { x: probe, filter: probe, bias: tf.ones([1]) };
    return fused(backend, inputs, { strides: [1, 1], pad: "valid" });
  });
}
