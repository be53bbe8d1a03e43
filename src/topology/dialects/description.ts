import type { Json, JsonObject } from "../../checkpoint.ts";
import type { KerasMajor } from "../layer-graph.ts";

/** A tensor by name: an output of a call, counted from 0, of a layer of the same model. */
export interface TensorName {
  readonly layer: string;
  readonly call: number;
  readonly output: number;
}

/** Argument of a call whose tensors are names. */
export type NamedArgument =
  | { readonly kind: "tensor"; readonly tensor: TensorName }
  | { readonly kind: "value"; readonly value: Json }
  | { readonly kind: "list"; readonly items: readonly NamedArgument[] }
  | { readonly kind: "record"; readonly entries: Readonly<Record<string, NamedArgument>> };

/** One call of a layer as a config describes it. */
export interface CallDescription {
  readonly args: readonly NamedArgument[];
  readonly kwargs: Readonly<Record<string, NamedArgument>>;
}

/** A layer as a config describes it. */
export interface LayerDescription {
  readonly name: string;
  /** Class name in Keras 3, `ops.Add` for an operation. */
  readonly className: string;
  readonly keras: KerasMajor;
  readonly trainable: boolean;
  /** Config in Keras 3's vocabulary with defaults, empty for a nested model. */
  readonly config: JsonObject;
  readonly calls: readonly CallDescription[];
  /** Description of the nested model if the layer is one. */
  readonly model?: ModelDescription;
}

/**
 * A model of any kind and of any version of Keras, described by calls on named tensors. A Sequential is a chain of
 * calls.
 */
export interface ModelDescription {
  readonly name: string;
  readonly kind: "functional" | "sequential";
  readonly trainable: boolean;
  /** Layers in `model.layers` order, including InputLayers. */
  readonly layers: readonly LayerDescription[];
  readonly inputs: NamedArgument;
  readonly outputs: NamedArgument;
}

/** Lists the tensors in an argument, depth first and with sorted record keys, as Keras flattens structures. */
export function tensorNamesIn(argument: NamedArgument): TensorName[] {
  switch (argument.kind) {
    case "tensor":
      return [argument.tensor];
    case "value":
      return [];
    case "list":
      return argument.items.flatMap(tensorNamesIn);
    case "record":
      return Object.entries(argument.entries)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .flatMap(([, entry]) => tensorNamesIn(entry));
  }
}
