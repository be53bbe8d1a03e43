/** @file The messages of an ONNX file (`onnx/onnx.proto`, IR version 8), as far as they are written here. */
import type { Messages } from "../../protobuf/encoder.ts";
import { encoderOf, field } from "../../protobuf/encoder.ts";

/** `TensorProto.DataType` */
export const dataType = {
  float: 1,
  uint8: 2,
  int8: 3,
  int16: 5,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  double: 11,
} as const;

/** `AttributeProto.AttributeType` */
const attributeType = { float: 1, int: 2, string: 3, tensor: 4, floats: 6, ints: 7 } as const;

export interface TensorMessage {
  readonly name?: string;
  readonly dims: readonly number[];
  readonly dataType: number;
  /** Little-endian values. */
  readonly rawData: Uint8Array;
}

export interface AttributeMessage {
  readonly name: string;
  readonly type: number;
  readonly i?: number;
  readonly f?: number;
  readonly s?: Uint8Array;
  readonly t?: TensorMessage;
  readonly ints?: readonly number[];
  readonly floats?: readonly number[];
}

export interface NodeMessage {
  readonly name: string;
  readonly opType: string;
  readonly input: readonly string[];
  readonly output: readonly string[];
  readonly attribute: readonly AttributeMessage[];
}

/** A size, or the name of a free one. */
export type Dimension = number | string;

export interface ValueInfo {
  readonly name: string;
  readonly elementType: number;
  readonly shape: readonly Dimension[];
}

export interface GraphMessage {
  readonly name: string;
  readonly node: readonly NodeMessage[];
  readonly initializer: readonly TensorMessage[];
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
}

export interface ModelMessage {
  readonly producerName: string;
  readonly producerVersion: string;
  readonly opset: number;
  readonly graph: GraphMessage;
  readonly metadata: Readonly<Record<string, string>>;
}

/** An attribute of an ONNX node: a whole number, a list of them, or a text. Use `{ float }` for a number with a fraction. */
export type AttributeValue = number | readonly number[] | string | { readonly float: number };

export function attribute(name: string, value: AttributeValue): AttributeMessage {
  if (typeof value === "number") return { name, type: attributeType.int, i: value };
  if (typeof value === "string")
    return { name, type: attributeType.string, s: new TextEncoder().encode(value) };
  if ("float" in value) return { name, type: attributeType.float, f: value.float };
  return { name, type: attributeType.ints, ints: value };
}

const descriptor: Messages = {
  nested: {
    StringStringEntry: { fields: { key: field(1, "string"), value: field(2, "string") } },
    Tensor: {
      fields: {
        dims: field(1, "int64", "repeated"),
        dataType: field(2, "int32"),
        name: field(8, "string"),
        rawData: field(9, "bytes"),
      },
    },
    Attribute: {
      fields: {
        name: field(1, "string"),
        f: field(2, "float"),
        i: field(3, "int64"),
        s: field(4, "bytes"),
        t: field(5, "Tensor"),
        floats: field(7, "float", "repeated"),
        ints: field(8, "int64", "repeated"),
        type: field(20, "int32"),
      },
    },
    Node: {
      fields: {
        input: field(1, "string", "repeated"),
        output: field(2, "string", "repeated"),
        name: field(3, "string"),
        opType: field(4, "string"),
        attribute: field(5, "Attribute", "repeated"),
      },
    },
    Dimension: { fields: { dimValue: field(1, "int64"), dimParam: field(2, "string") } },
    Shape: { fields: { dim: field(1, "Dimension", "repeated") } },
    TensorType: { fields: { elemType: field(1, "int32"), shape: field(2, "Shape") } },
    Type: { fields: { tensorType: field(1, "TensorType") } },
    ValueInfo: { fields: { name: field(1, "string"), type: field(2, "Type") } },
    Graph: {
      fields: {
        node: field(1, "Node", "repeated"),
        name: field(2, "string"),
        initializer: field(5, "Tensor", "repeated"),
        input: field(11, "ValueInfo", "repeated"),
        output: field(12, "ValueInfo", "repeated"),
      },
    },
    OperatorSet: { fields: { domain: field(1, "string"), version: field(2, "int64") } },
    Model: {
      fields: {
        irVersion: field(1, "int64"),
        producerName: field(2, "string"),
        producerVersion: field(3, "string"),
        graph: field(7, "Graph"),
        opsetImport: field(8, "OperatorSet", "repeated"),
        metadataProps: field(14, "StringStringEntry", "repeated"),
      },
    },
  },
};

/** The IR version that opset 17 came with. */
const irVersion = 8;

/** Returns the bytes of the model's file. */
export async function encodeModel({
  graph,
  opset,
  metadata,
  ...producer
}: ModelMessage): Promise<Uint8Array> {
  const encode = await encoderOf(descriptor, "Model");
  const { inputs, outputs, ...rest } = graph;
  return encode({
    irVersion,
    ...producer,
    graph: { ...rest, input: inputs.map(valueInfo), output: outputs.map(valueInfo) },
    opsetImport: [{ domain: "", version: opset }],
    metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
  });
}

function valueInfo({ name, elementType, shape }: ValueInfo): object {
  const dim = shape.map((size) => (typeof size === "number" ? { dimValue: size } : { dimParam: size }));
  return { name, type: { tensorType: { elemType: elementType, shape: { dim } } } };
}
