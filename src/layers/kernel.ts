import type { JsonObject } from "../checkpoint.ts";
import type { tf } from "../engine/tf.ts";
import { TopologyError } from "../errors.ts";
import type { RandomStream } from "../random.ts";
import type { KerasMajor } from "../topology/layer-graph.ts";

export interface KernelContext {
  /** True in a training step where the layer is active; false in inference and for a silenced layer. */
  readonly training: boolean;
  /**
   * The statistics that a normalization layer with moving statistics uses. With `batch` it also returns new moving
   * statistics, and a layer that renews weights returns those.
   */
  readonly statistics: "stored" | "batch";
  readonly random: RandomStream;
  /** The major version of the Keras that wrote the file, whose semantics are used. */
  readonly keras: KerasMajor;
  /** True while the run is traced for another runtime: operations must not depend on values or on the batch size. */
  readonly isTraced?: boolean;
}

/** An argument in which references are replaced by tensors. */
export type KernelArgument =
  | tf.Tensor
  | null
  | boolean
  | number
  | string
  | readonly KernelArgument[]
  | { readonly [key: string]: KernelArgument };

export interface KernelCall {
  /**
   * The node's `inputs`, in the order of axes of the config's data_format. The caller owns them: a kernel never
   * disposes them.
   */
  readonly inputs: readonly tf.Tensor[];
  /** Weights by WeightSpec name. The caller owns them. */
  readonly weights: Readonly<Record<string, tf.Tensor>>;
  /** The GraphLayer's config: Keras 3's vocabulary with defaults. */
  readonly config: JsonObject;
  /** The call's arguments as written, for ops and layers called with more than tensors. */
  readonly args: readonly KernelArgument[];
  readonly kwargs: Readonly<Record<string, KernelArgument>>;
  /** Masks of `inputs`, undefined for inputs without one. */
  readonly masks: readonly (tf.Tensor | undefined)[];
  readonly context: KernelContext;
}

export interface KernelResult {
  readonly outputs: readonly tf.Tensor[];
  readonly masks?: readonly (tf.Tensor | undefined)[];
  /** True if the inputs lose their masks: later readers of the same tensors find none. */
  readonly takesMasks?: boolean;
  /**
   * New values of weights by WeightSpec name, for weights that no gradient moves, or that gradients move on from there.
   * The caller decides if they are kept.
   */
  readonly state?: Readonly<Record<string, tf.Tensor>>;
}

/** A layer as a function of tensors, differentiable by the tape. A single tensor stands for `{ outputs: [it] }`. */
export type Kernel = (call: KernelCall) => tf.Tensor | KernelResult;

/** Returns the first input of a call. @throws {TopologyError} if it has none. */
export function firstInput([x]: readonly tf.Tensor[]): tf.Tensor {
  if (x) return x;
  throw new TopologyError("inputs: expected a tensor, got none. The config is not one that Keras writes.");
}

/** Returns a weight by name. @throws {TopologyError} if the layer has none of that name. */
export function weightIn(weights: Readonly<Record<string, tf.Tensor>>, name: string): tf.Tensor {
  const weight = weights[name];
  if (weight) return weight;
  const names = Object.keys(weights);
  const isNumbered = names.some((given) => /(^|\/)vars\/\d+$/.test(given));
  const advice = isNumbered
    ? "A layer's class is registered before its file is read: read the file again."
    : "Give a file with all weights.";
  throw new TopologyError(
    `weight ${name}: expected one of that name, got ${names.join(", ") || "none"}. ${advice}`,
  );
}

/**
 * Returns the error for a function without a gradient here. It names the layer itself, since gradients are computed
 * after the layer's call.
 */
export function noGradient({ name = "layer" }: JsonObject, subject: string, advice: string): TopologyError {
  return unsupported(`${String(name)}: the gradient of ${subject}`, advice);
}

/**
 * Returns the error for an argument that Keras knows but no kernel computes. The caller of the kernel adds the layer's
 * path.
 */
export function unsupported(subject: string, advice: string): TopologyError {
  return new TopologyError(`${subject} cannot be computed here. ${advice}`, "unsupported-layer");
}
