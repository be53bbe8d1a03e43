import type { Json, JsonObject } from "../../checkpoint.ts";
import type { KerasMajor } from "../layer-graph.ts";

/** A tensor as a config names it: an output of the `call`-th call (from 0) of a layer of the same model. */
export interface TensorName {
  readonly layer: string;
  readonly call: number;
  readonly output: number;
}

/** An argument whose tensors are still names. */
export type NamedArgument =
  | { readonly kind: "tensor"; readonly tensor: TensorName }
  | { readonly kind: "value"; readonly value: Json }
  | { readonly kind: "list"; readonly items: readonly NamedArgument[] }
  | { readonly kind: "record"; readonly entries: Readonly<Record<string, NamedArgument>> };

export interface CallDescription {
  readonly args: readonly NamedArgument[];
  readonly kwargs: Readonly<Record<string, NamedArgument>>;
}

export interface LayerDescription {
  readonly name: string;
  /** Keras 3's, `ops.Add` for an op. */
  readonly className: string;
  readonly keras: KerasMajor;
  readonly trainable: boolean;
  /** In Keras 3's vocabulary with defaults; empty for a nested model. */
  readonly config: JsonObject;
  readonly calls: readonly CallDescription[];
  /** The nested model that this layer is. */
  readonly model?: ModelDescription;
}

/** A model of any Keras and of any kind as named calls; a Sequential is a chain of them. */
export interface ModelDescription {
  readonly name: string;
  readonly kind: "functional" | "sequential";
  readonly trainable: boolean;
  /** In `model.layers` order, InputLayers among them. */
  readonly layers: readonly LayerDescription[];
  readonly inputs: NamedArgument;
  readonly outputs: NamedArgument;
}

/** The tensors in an argument, depth first, records by sorted key as Keras flattens them. */
export function tensorNamesIn(argument: NamedArgument): TensorName[] {
  switch (argument.kind) {
    case "tensor":
      return [argument.tensor];
    case "value":
      return [];
    case "list":
      return argument.items.flatMap(tensorNamesIn);
    case "record":
      return Object.keys(argument.entries)
        .sort()
        .flatMap((key) => tensorNamesIn(argument.entries[key]!));
  }
}
