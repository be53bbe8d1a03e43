import type { Json, JsonObject } from "../checkpoint.ts";
import type { EngineTensor, TensorOperations } from "../engine/tensor-operations.ts";
import type { RandomStream } from "../random.ts";
import type { DType, Shape } from "../tensor.ts";
import type { KerasMajor } from "../topology/layer-graph.ts";
import type { NonEmpty } from "../topology/layer-spec.ts";

/** @file Types with which a program describes a layer class of its own. */

/** A weight of a custom layer. */
export interface CustomWeight<Name extends string = string> {
  /**
   * Name given to `add_weight` in Python, `scale`. The weight of an object that the layer holds is named by the path of
   * attributes to it: `attention/kernel`.
   */
  readonly name: Name;
  readonly shape: readonly number[];
  /** False for a weight that no gradient moves. Defaults to true. */
  readonly trainable?: boolean;
  /** Initializer as Keras 3 writes it, which the values in the file replace. Defaults to zeros. */
  readonly initializer?: Json;
  /** Regularizer as Keras 3 writes it, `{ class_name: "L2", config: { l2: 1e-4 } }`. Defaults to none. */
  readonly regularizer?: Json;
  /** Element type in the file. Defaults to float32, in which everything is computed. */
  readonly dtype?: DType;
}

/** Config and input shapes of a custom layer's call, known before it runs. */
export interface CustomShapes {
  /** Layer's config in the file, as `get_config` returned it, with the spec's defaults. */
  readonly config: JsonObject;
  /** Shapes of the inputs. The batch is null, and so is every other size that is not known before the run. */
  readonly inputs: NonEmpty<Shape>;
  /** Major version of the Keras that wrote the file. */
  readonly keras: KerasMajor;
}

/** A layer of Keras, or another registered one, that a custom layer holds in an attribute. */
export interface HeldLayer {
  /** Class name in Keras 3: `Dense`, `MultiHeadAttention`. */
  readonly className: string;
  /** Arguments in Keras 3's vocabulary. Those that are left out have Keras's defaults. */
  readonly config?: JsonObject;
  /** Shapes of the tensors that it is called on, one of them if it is called on a single tensor. */
  readonly inputs: readonly Shape[];
}

/** A held layer in a kernel: computes its output for one tensor or a list, with Keras's keyword arguments. */
export type HeldCall = (
  inputs: EngineTensor | readonly EngineTensor[],
  kwargs?: Readonly<Record<string, EngineTensor | Json>>,
) => EngineTensor;

/** Everything about a custom layer that is known without running it. All of it is optional. */
export interface CustomSpec<Weight extends string = string, Held extends string = string> {
  /** Values of arguments that a config may lack. */
  readonly defaults?: JsonObject;
  /** The layer's own weights in the order of `add_weight`, or a function that returns them. Defaults to none. */
  readonly weights?:
    | readonly CustomWeight<Weight>[]
    | ((call: CustomShapes) => readonly CustomWeight<Weight>[]);
  /**
   * Layers that the layer holds, in the order in which Python sets the attributes. The key is the attribute's name, or a
   * path below it: `ffn/layers/dense` and `ffn/layers/dense_1` for two Dense layers in a Sequential named `self.ffn`.
   */
  readonly layers?: (call: CustomShapes) => Readonly<Record<Held, HeldLayer>>;
  /** Returns the shape of the output, or a list with one shape for each. Defaults to the shape of the first input. */
  readonly outputShape?: (call: CustomShapes) => Shape | readonly Shape[];
  /** True if the layer draws random numbers in training. A held layer that does so counts by itself. */
  readonly random?: boolean;
  /**
   * True if in training a sample's output depends on the rest of its batch. Such a layer is never cached in front of
   * trained ones. A held layer that does so counts by itself.
   */
  readonly couplesBatch?: boolean;
  /** True if the layer passes the mask of its first input on, as `supports_masking` does in Python. */
  readonly masking?: boolean;
  /** Returns the multiply-adds for one sample, which the plan's cost counts. Those of held layers are added. */
  readonly multiplyAdds?: (call: CustomShapes) => number;
}

/** One call of a custom layer. */
export interface CustomCall<Weight extends string = string, Held extends string = string> {
  /** Tensors that the layer is called on, batch first. */
  readonly inputs: NonEmpty<EngineTensor>;
  /** The layer's own weights by name. */
  readonly weights: Readonly<Record<Weight, EngineTensor>>;
  /** The layers that it holds, by the keys of the spec. */
  readonly layers: Readonly<Record<Held, HeldCall>>;
  readonly config: JsonObject;
  /** Keyword arguments of the call in the file, in which tensors are tensors. */
  readonly kwargs: Readonly<Record<string, unknown>>;
  /** Masks of the inputs, undefined for an input without one. */
  readonly masks: readonly (EngineTensor | undefined)[];
  /** True in a training step where the layer is active; false in inference and for a frozen layer in front of the cut. */
  readonly training: boolean;
  /** True if moving statistics (weights named `moving_…` that do not train) are to be taken from this batch. */
  readonly usesBatchStatistics: boolean;
  /** Seeds of this step. */
  readonly random: RandomStream;
  readonly keras: KerasMajor;
  /** Differentiable operations on the engine. */
  readonly ops: TensorOperations;
}

/** Outputs of a custom layer with more than a tensor. */
export interface CustomResult {
  readonly outputs: readonly EngineTensor[];
  /** The mask of each output, undefined for one without. */
  readonly masks?: readonly (EngineTensor | undefined)[];
  /** New values of weights that no gradient moves, by name. */
  readonly state?: Readonly<Record<string, EngineTensor>>;
}

/**
 * Computes a custom layer: one tensor, a list of them, or outputs with masks and state. It is called anew for every batch and
 * must compute with `ops` and `layers` alone, because gradients are taken through them; it keeps no tensor.
 */
export type CustomKernel<Weight extends string = string, Held extends string = string> = (
  call: CustomCall<Weight, Held>,
) => EngineTensor | readonly EngineTensor[] | CustomResult;

/** A layer class of one's own. */
export interface CustomLayer<Weight extends string = string, Held extends string = string> {
  /**
   * Name of the class in the file: `Package>Name` as `keras.saving.register_keras_serializable(package="Package")` writes it,
   * or the bare name of a class that is passed in `custom_objects`. A bare name serves the class in any package.
   * `Lambda>layer_name` stands for the Lambda layer of that name.
   */
  readonly className: string;
  readonly spec: CustomSpec<Weight, Held>;
  readonly kernel: CustomKernel<Weight, Held>;
  /**
   * Version of the computation. Cached features depend on it and on the kernel's text; raise it if a function that the kernel
   * calls has changed.
   */
  readonly version?: number | string;
}
