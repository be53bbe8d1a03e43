import type { Json, JsonObject } from "../checkpoint.ts";
import type { DType, ElementType, Shape } from "../tensor.ts";
import type { Argument, KerasMajor } from "./layer-graph.ts";

/** Specification of a weight. */
export interface WeightSpec {
  /** Name in Keras 3 (`kernel`); inside a wrapper or cell the path below the layer (`forward_layer/cell/kernel`). */
  readonly name: string;
  readonly shape: readonly number[];
  /** False for weights that no gradient reaches: moving statistics and the statistics of Normalization. */
  readonly trainable: boolean;
  /** Initializer config of Keras 3. */
  readonly initializer: Json;
  /** Regularizer config of Keras 3, null if there is none. */
  readonly regularizer?: Json;
  /** Constraint config of Keras 3, absent if there is none. */
  readonly constraint?: Json;
  readonly dtype?: DType;
  /** Names in earlier releases of Keras: `kernel` of DepthwiseConv2D was `depthwise_kernel`. */
  readonly formerNames?: readonly string[];
  /**
   * Second name under which Keras 3's archives store the same values: SpectralNormalization refers to the kernel of its
   * layer.
   */
  readonly alsoNamed?: string;
  /**
   * Weight into which Keras 3's archives merge this one, and the factor. LoRA's low-rank matrices are merged into the
   * kernel and are zeros after reading.
   */
  readonly mergedInto?: { readonly weight: string; readonly scale: number };
}

/** A list with at least one item. */
export type NonEmpty<T> = readonly [T, ...T[]];

/** Input shapes and arguments of a call. */
export interface CallShapes {
  readonly config: JsonObject;
  readonly keras: KerasMajor;
  /** Shapes of the inputs. An InputLayer, which has none, is given one without dimensions. */
  readonly inputs: NonEmpty<Shape>;
  readonly args: readonly Argument[];
  readonly kwargs: Readonly<Record<string, Argument>>;
}

/** Returns the shapes of a call's inputs as {@link CallShapes} holds them. */
export function inputShapes([first = [], ...others]: readonly Shape[]): NonEmpty<Shape> {
  return [first, ...others];
}

/** Reason for which a layer cannot be computed. */
export interface Refusal {
  /** Reason, without a final period. */
  readonly reason: string;
  /** Sentences that tell the user what to do. */
  readonly advice: string;
}

/**
 * Specification of a layer class: everything known without running it. The kernel of the same class name computes it.
 */
export interface LayerSpec {
  readonly className: string;
  /** Keras 3's defaults for all arguments that affect shapes, weights or results. */
  readonly defaults: JsonObject;
  /** Converts a config of Keras 1 or 2 to Keras 3's vocabulary: renamed arguments, and defaults of that version. */
  readonly modernize?: (config: JsonObject, keras: 1 | 2) => JsonObject;
  /**
   * Lists the weights in the order of Keras 3's `layer.weights`, which is also the order of `vars/<i>` in archives.
   */
  readonly weights?: (call: CallShapes) => readonly WeightSpec[];
  /** Infers the shape of each output. @throws {TopologyError} if the inputs do not fit. */
  readonly outputShapes: (call: CallShapes) => readonly Shape[];
  /** Infers the dtype of each output from the dtypes of the inputs. Outputs are float32 if absent. */
  readonly outputDTypes?: (
    call: CallShapes & { readonly dtypes: NonEmpty<ElementType> },
  ) => readonly ElementType[];
  /** Counts the multiply-adds of contractions (convolution, matrix product) for one sample. Defaults to 0. */
  readonly multiplyAdds?: (call: CallShapes & { readonly outputs: NonEmpty<Shape> }) => number;
  /** True if the layer draws random numbers in training (Dropout, noise, Random*). */
  readonly random?: boolean;
  /**
   * Returns whether the layer draws random numbers with these arguments, such as recurrent layers and attention with
   * dropout.
   */
  readonly randomWith?: (config: JsonObject) => boolean;
  /**
   * True if a training step first replaces the weights by new values that gradients then update: a normalized kernel.
   */
  readonly renewsWeights?: boolean;
  /** Returns the reason for which a layer with these arguments cannot be computed, undefined if it can. */
  readonly refusal?: (config: JsonObject) => Refusal | undefined;
  /**
   * True if the layer passes the mask of its first input on or makes a new one (`supports_masking`). Other layers drop
   * masks.
   */
  readonly masking?: boolean;
  /**
   * True if in training a sample's output depends on the rest of its batch, as with BatchNormalization on batch
   * statistics.
   */
  readonly couplesBatch?: boolean | ((call: Pick<CallShapes, "config" | "inputs">) => boolean);
  /** True if the layer is applied to each element on its own, so that a stride or slice can be moved across it. */
  readonly elementwise?: boolean;
  /** True if a call that a training step reads runs in that step, and its output is not kept for each sample: it is larger than its use. */
  readonly recomputed?: boolean;
  /** Text that changes with the computation of a registered class. Cached features depend on it. */
  readonly codeIdentity?: string;
}

/** Creates the spec of a function of keras.ops with one output, whose shape is inferred from the first operand. */
export function operation(
  name: string,
  shapeOf: (input: Shape, call: CallShapes) => Shape,
  defaults: JsonObject = {},
  more: Partial<LayerSpec> = {},
): LayerSpec {
  return {
    className: `ops.${name}`,
    defaults,
    outputShapes: (call) => [shapeOf(call.inputs[0], call)],
    ...more,
  };
}
