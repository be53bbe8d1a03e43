import type { JsonObject } from "../../checkpoint.ts";
import type { NamedArgument } from "./description.ts";

/** An op of Keras 3 (`ops.Add`) on arguments. */
export interface Operation {
  readonly className: string;
  readonly config?: JsonObject;
  readonly args: readonly NamedArgument[];
  readonly kwargs?: Readonly<Record<string, NamedArgument>>;
}

export interface CompositeCall {
  /** The function's first argument. */
  readonly x: NamedArgument;
  /** Those of `Composite.operands`, undefined where they are not given. */
  readonly operands: readonly (NamedArgument | undefined)[];
  /** The other arguments, which are constants. */
  readonly given: JsonObject;
  /** Adds an op that goes before, and stands for its output. */
  readonly apply: (operation: Operation) => NamedArgument;
}

/** A function of TensorFlow that takes more than one op of Keras 3, or one whose arguments are in another order. */
export interface Composite {
  readonly operands: readonly string[];
  /** The last op; undefined where Keras has none that do the same. */
  readonly build: (call: CompositeCall) => Operation | undefined;
}
