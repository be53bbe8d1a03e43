import type { Json, JsonObject } from "../../checkpoint.ts";
import type { ElementType, Shape } from "../../tensor.ts";
import type {
  CallDescription,
  ModelDescription,
  NamedArgument,
  TensorName,
} from "../dialects/description.ts";

/** Shape and dtype of a tensor, which Keras 3 writes in addition to its name. */
export interface KnownTensor {
  readonly shape: Shape;
  readonly dtype: ElementType;
}

/** Looks up layers and tensors of one functional model. */
export interface Naming {
  /** Returns a layer's name in Keras 3. */
  rename(layer: string): string;
  tensor(name: TensorName): KnownTensor;
  /**
   * Returns whether the layer is a nested Functional, whose calls endpoints number from 1 (get_config of
   * `keras/src/models/functional.py`).
   */
  isFunctional(layer: string): boolean;
}

/** Returns a layer's calls as Keras 3's `inbound_nodes`. */
export function inboundNodes(calls: readonly CallDescription[], naming: Naming): Json {
  return calls.map(({ args, kwargs }) => ({
    args: args.map((argument) => argumentJson(argument, naming)),
    kwargs: recordJson(kwargs, naming),
  }));
}

function argumentJson(argument: NamedArgument, naming: Naming): Json {
  switch (argument.kind) {
    case "tensor": {
      const { layer, call, output } = argument.tensor;
      const { shape, dtype } = naming.tensor(argument.tensor);
      const config = { shape, dtype, keras_history: [naming.rename(layer), call, output] };
      return { class_name: "__keras_tensor__", config };
    }
    case "value":
      return argument.value;
    case "list":
      return argument.items.map((item) => argumentJson(item, naming));
    case "record":
      return recordJson(argument.entries, naming);
  }
}

function recordJson(entries: Readonly<Record<string, NamedArgument>>, naming: Naming): JsonObject {
  return Object.fromEntries(
    Object.entries(entries).map(([key, entry]) => [key, argumentJson(entry, naming)]),
  );
}

/** Returns `input_layers` or `output_layers`: `["x", 0, 0]` for one tensor, a list or record of these for several. */
export function endpoints(argument: ModelDescription["inputs"], naming: Naming): Json {
  switch (argument.kind) {
    case "tensor": {
      const { layer, call, output } = argument.tensor;
      return [naming.rename(layer), naming.isFunctional(layer) ? call + 1 : call, output];
    }
    case "value":
      return argument.value;
    case "list":
      return argument.items.map((item) => endpoints(item, naming));
    case "record":
      return Object.fromEntries(
        Object.entries(argument.entries).map(([key, entry]) => [key, endpoints(entry, naming)]),
      );
  }
}
