import type { Json, JsonObject } from "../checkpoint.ts";
import type { DType, ElementType, Shape } from "../tensor.ts";
import type { Argument, KerasMajor } from "./layer-graph.ts";

/** A variable of a layer, named as Keras 3 names it. */
export interface WeightSpec {
  /** `kernel`; inside a wrapper or cell the path below the layer, `forward_layer/cell/kernel`. */
  readonly name: string;
  readonly shape: readonly number[];
  /** Whether gradients may ever reach it: false for moving statistics and for Normalization's. */
  readonly trainable: boolean;
  /** Keras 3 initializer config, from the layer's config. */
  readonly initializer: Json;
  /** Keras 3 regularizer config that applies to it, null where there is none. */
  readonly regularizer?: Json;
  /** Keras 3 constraint config that applies to it, absent where there is none. */
  readonly constraint?: Json;
  readonly dtype?: DType;
  /** What earlier Keras releases called it: DepthwiseConv2D's `kernel` was `depthwise_kernel`. */
  readonly formerNames?: readonly string[];
  /** A second name under which Keras 3's archives keep the same values: SpectralNormalization's own hold of the kernel inside. */
  readonly alsoNamed?: string;
  /**
   * The weight that Keras 3's archives hold this one merged into, and the factor: LoRA's thin matrices, which are zeros after reading.
   */
  readonly mergedInto?: { readonly weight: string; readonly scale: number };
}

/** A call's input shapes and, for ops and layers called with more than tensors, its arguments. */
export interface CallShapes {
  readonly config: JsonObject;
  readonly keras: KerasMajor;
  readonly inputs: readonly Shape[];
  readonly args: readonly Argument[];
  readonly kwargs: Readonly<Record<string, Argument>>;
}

/** Why a layer cannot be run here, as half a sentence, and what its user can do, as a whole one. */
export interface Refusal {
  readonly reason: string;
  readonly advice: string;
}

/** What is known of a layer class without running it. Pure; the kernel of the same class name runs it. */
export interface LayerSpec {
  readonly className: string;
  /** Keras 3's defaults of every argument that shapes, weights or numbers depend on. */
  readonly defaults: JsonObject;
  /** A config that Keras 1 or 2 wrote, in Keras 3's vocabulary (renamed arguments, that version's own defaults). */
  readonly modernize?: (config: JsonObject, keras: 1 | 2) => JsonObject;
  /** In Keras 3's `layer.weights` order, which is also the order of `vars/<i>`. */
  readonly weights?: (call: CallShapes) => readonly WeightSpec[];
  /** One shape an output. @throws {TopologyError} where the inputs do not fit, in Keras's terms. */
  readonly outputShapes: (call: CallShapes) => readonly Shape[];
  /** One dtype an output; float32 where absent. `dtypes` are those of the inputs. */
  readonly outputDTypes?: (
    call: CallShapes & { readonly dtypes: readonly ElementType[] },
  ) => readonly ElementType[];
  /** Multiply-adds of one sample, counting only contractions (convolution, matmul); 0 where absent. */
  readonly multiplyAdds?: (call: CallShapes & { readonly outputs: readonly Shape[] }) => number;
  /** Draws random numbers in training (Dropout, noise, Random*). */
  readonly random?: boolean;
  /** Draws some with these arguments only: a recurrent layer or attention with dropout. */
  readonly randomWith?: (config: JsonObject) => boolean;
  /** Where it trains, a step first puts new values in the place of weights that gradients then move: a normalized kernel. */
  readonly renewsWeights?: boolean;
  /** Undefined where the layer can be run with these arguments. */
  readonly refusal?: (config: JsonObject) => Refusal | undefined;
  /** Hands the mask of its first input on, or makes one of its own (`supports_masking`); others end it. */
  readonly masking?: boolean;
  /** In training a sample's output depends on the rest of its batch (BatchNormalization on batch statistics). */
  readonly couplesBatch?: boolean | ((call: Pick<CallShapes, "config" | "inputs">) => boolean);
  /** Applied to each element alone; a stride or a slice can move across it. */
  readonly elementwise?: boolean;
}

/** The spec of a function of keras.ops with one output, whose shape follows from the first operand's. */
export function operation(
  name: string,
  shapeOf: (input: Shape, call: CallShapes) => Shape,
  defaults: JsonObject = {},
  more: Partial<LayerSpec> = {},
): LayerSpec {
  return {
    className: `ops.${name}`,
    defaults,
    outputShapes: (call) => [shapeOf(call.inputs[0]!, call)],
    ...more,
  };
}
