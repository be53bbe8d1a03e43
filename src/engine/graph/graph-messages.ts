/** @file TensorFlow's graphs as protobuf messages (`tensorflow/core/framework/*.proto`), as far as they are written here. */
import type { Messages } from "../../protobuf/encoder.ts";
import { encoderNow, field, mapField } from "../../protobuf/encoder.ts";

/** `DataType` of `types.proto`. */
export const dataType = { float: 1, int32: 3, resource: 20 } as const;

export interface TensorMessage {
  readonly dtype: number;
  readonly tensorShape: { readonly dim: readonly { readonly size: number }[] };
  /** Little-endian values. */
  readonly tensorContent: Uint8Array;
}

/** The value of a node's attribute: exactly one of these. */
export interface AttributeMessage {
  readonly type?: number;
  readonly i?: number;
  readonly f?: number;
  readonly b?: boolean;
  readonly s?: Uint8Array;
  readonly shape?: { readonly unknownRank?: boolean; readonly dim?: readonly { readonly size: number }[] };
  readonly list?: { readonly i: readonly number[] };
  readonly tensor?: TensorMessage;
}

/** An operation of a graph. An input is the name of a node, with `:1` and so on for an output after its first. */
export interface GraphNode {
  readonly name: string;
  readonly op: string;
  readonly input: readonly string[];
  readonly attr: Readonly<Record<string, AttributeMessage>>;
  /** The graph that the node came from, where a whole graph was taken into another. It is not written. */
  readonly from?: string;
}

/** The version of TensorFlow's graphs whose operations are written (`TF_GRAPH_DEF_VERSION` of TensorFlow 2.4). */
const producer = 561;

const descriptor: Messages = {
  nested: {
    Dim: { fields: { size: field(1, "int64") } },
    Shape: { fields: { dim: field(2, "Dim", "repeated"), unknownRank: field(3, "bool") } },
    Tensor: {
      fields: {
        dtype: field(1, "int32"),
        tensorShape: field(2, "Shape"),
        tensorContent: field(4, "bytes"),
      },
    },
    List: { fields: { i: field(3, "int64", "repeated") } },
    // The proto file has these in a `oneof`, of which a set member is written even if it is zero.
    Attribute: {
      oneofs: { value: { oneof: ["list", "s", "i", "f", "b", "type", "shape", "tensor"] } },
      fields: {
        list: field(1, "List"),
        s: field(2, "bytes"),
        i: field(3, "int64"),
        f: field(4, "float"),
        b: field(5, "bool"),
        type: field(6, "int32"),
        shape: field(7, "Shape"),
        tensor: field(8, "Tensor"),
      },
    },
    Node: {
      fields: {
        name: field(1, "string"),
        op: field(2, "string"),
        input: field(3, "string", "repeated"),
        attr: mapField(5, "Attribute"),
      },
    },
    Versions: { fields: { producer: field(1, "int32") } },
    Graph: { fields: { node: field(1, "Node", "repeated"), versions: field(4, "Versions") } },
    Information: { fields: { tags: field(4, "string", "repeated") } },
    MetaGraph: { fields: { information: field(1, "Information"), graph: field(2, "Graph") } },
    SavedModel: {
      fields: { schemaVersion: field(1, "int64"), metaGraphs: field(2, "MetaGraph", "repeated") },
    },
  },
};

/** The tag under which the graph of a saved model is found. */
export const graphTag = "serve";

/** Returns `saved_model.pb` of a saved model that consists of a graph alone. */
export function savedModelBytes(nodes: readonly GraphNode[]): Uint8Array {
  return encoderNow(
    descriptor,
    "SavedModel",
  )({
    schemaVersion: 1,
    metaGraphs: [{ information: { tags: [graphTag] }, graph: { node: nodes, versions: { producer } } }],
  });
}
