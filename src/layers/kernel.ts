import type { JsonObject } from "../checkpoint.ts";
import type { tf } from "../engine/tf.ts";
import { TopologyError } from "../errors.ts";
import type { KerasMajor } from "../topology/layer-graph.ts";

/** What a call may draw from: a seed and a counter, so that the same step draws the same numbers. */
export interface RandomStream {
  /** A fresh 31-bit seed; each call of it differs. */
  nextSeed(): number;
}

export interface KernelContext {
  /** True in a training step where the layer is active; false in inference and for a silenced layer. */
  readonly training: boolean;
  /**
   * Which statistics a normalization layer with moving statistics uses. `batch` also returns the new moving ones, and lets a layer
   * that renews weights return those.
   */
  readonly statistics: "stored" | "batch";
  readonly random: RandomStream;
  /** Semantics follow the Keras that wrote the file. */
  readonly keras: KerasMajor;
  /** True while the run is traced for another runtime: operations must not depend on values or on the batch size. */
  readonly isTraced?: boolean;
}

/** An argument with its tensors in place. */
export type KernelArgument =
  | tf.Tensor
  | null
  | boolean
  | number
  | string
  | readonly KernelArgument[]
  | { readonly [key: string]: KernelArgument };

export interface KernelCall {
  /** The node's `inputs`, NHWC as the config's data_format says. Owned by the caller: never disposed by a kernel. */
  readonly inputs: readonly tf.Tensor[];
  /** By WeightSpec name. Owned by the caller. */
  readonly weights: Readonly<Record<string, tf.Tensor>>;
  /** The GraphLayer's config: Keras 3's vocabulary with defaults. */
  readonly config: JsonObject;
  /** The call's arguments as written, for ops and layers called with more than tensors. */
  readonly args: readonly KernelArgument[];
  readonly kwargs: Readonly<Record<string, KernelArgument>>;
  /** Masks of `inputs`, undefined where there is none. */
  readonly masks: readonly (tf.Tensor | undefined)[];
  readonly context: KernelContext;
}

export interface KernelResult {
  readonly outputs: readonly tf.Tensor[];
  readonly masks?: readonly (tf.Tensor | undefined)[];
  /** The inputs lose their masks: later readers of the same tensors find none. */
  readonly takesMasks?: boolean;
  /**
   * New values of weights, by WeightSpec name: of those that no gradient moves, or that one moves from there on. The caller decides
   * whether they are kept.
   */
  readonly state?: Readonly<Record<string, tf.Tensor>>;
}

/** A layer as a function of tensors, differentiable by the tape. A lone tensor stands for `{ outputs: [it] }`. */
export type Kernel = (call: KernelCall) => tf.Tensor | KernelResult;

/** Returns the error for a function without a gradient here. It names the layer itself: gradients are computed after its call. */
export function noGradient({ name = "layer" }: JsonObject, subject: string, advice: string): TopologyError {
  return unsupported(`${String(name)}: the gradient of ${subject}`, advice);
}

/** Returns the error for an argument that Keras knows and that no kernel computes. The caller of the kernel names the layer. */
export function unsupported(subject: string, advice: string): TopologyError {
  return new TopologyError(`${subject} cannot be computed here. ${advice}`, "unsupported-layer");
}
