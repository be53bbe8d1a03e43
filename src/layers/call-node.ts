import { tf } from "../engine/tf.ts";
import { MachineError, TopologyError } from "../errors.ts";
import { withErrorPrefix } from "../topology/call-outputs.ts";
import type { Argument, GraphLayer, GraphNode, TensorRef } from "../topology/layer-graph.ts";
import { refKey } from "../topology/layer-graph.ts";
import { specOf } from "../topology/layer-specs.ts";
import type { Kernel, KernelArgument, KernelContext, KernelResult } from "./kernel.ts";

/** Live tensors and masks of a run by `refKey`. */
export interface Values {
  readonly tensors: Map<string, tf.Tensor>;
  readonly masks: Map<string, tf.Tensor>;
}

export function tensorOf(values: Values, ref: TensorRef): tf.Tensor {
  const tensor = values.tensors.get(refKey(ref));
  if (!tensor) throw new Error(`model: tensor ${refKey(ref)} is not there when it is read`);
  return tensor;
}

/**
 * Runs one call of a layer. The caller owns its outputs and masks. @throws {TopologyError} if no kernel knows the
 * class.
 */
export function callNode(
  kernelOf: (className: string) => Kernel | undefined,
  node: GraphNode,
  layer: GraphLayer,
  weights: Readonly<Record<string, tf.Tensor>>,
  values: Values,
  context: KernelContext,
): KernelResult {
  const kernel = kernelOf(layer.className);
  if (!kernel) {
    throw new TopologyError(
      `${layer.path}: ${layer.className} cannot be computed here: expected a known layer, got none of that class.`,
      "unsupported-layer",
    );
  }
  const inputs = node.inputs.map((ref) => tensorOf(values, ref));
  const kwargs = Object.fromEntries(
    Object.entries(node.kwargs).map(([name, argument]) => [name, argumentOf(argument, values)]),
  );
  const { supports_masking, hands_masks } = layer.config;
  const attached = node.inputs.map((ref) =>
    supports_masking === false ? undefined : values.masks.get(refKey(ref)),
  );
  const masks = givenMasks(attached, kwargs["mask"]);
  const result = namingRefusal(layer, () =>
    kernel({
      inputs,
      weights,
      config: layer.config,
      args: node.args.map((argument) => argumentOf(argument, values)),
      kwargs,
      masks,
      context,
    }),
  );
  const given = result instanceof tf.Tensor ? { outputs: [result] } : result;
  const passed = specOf(layer.className)?.masking ? given.outputs.map(() => masks[0]) : undefined;
  const own = ownHandles([
    ...inputs,
    ...Object.values(weights),
    ...values.tensors.values(),
    ...values.masks.values(),
  ]);
  const outputs = given.outputs.map(own);
  const handed = hands_masks === false ? undefined : (given.masks ?? passed);
  const outputMasks = handed?.map((mask) => mask && own(mask));
  if (given.takesMasks) for (const ref of node.inputs) dropMask(values, ref);
  return { outputs, ...(outputMasks && { masks: outputMasks }), ...(given.state && { state: given.state }) };
}

/**
 * Calls a kernel and puts the layer's path before the message of its refusals, and where memory runs out. An error of tfjs about
 * arguments is attributed to the layer's config; any other error is a bug and is passed on unchanged.
 */
function namingRefusal<T>({ path, className }: GraphLayer, call: () => T): T {
  try {
    return withErrorPrefix(path, call);
  } catch (error) {
    if (error instanceof MachineError)
      throw new MachineError(`${path}: ${error.message}`, error.code, error.option);
    if (!(error instanceof Error) || error.constructor !== Error) throw error;
    throw new TopologyError(
      `${path}: ${className}: expected a config that can be computed, got one that is refused: ${error.message}`,
      "not-computable",
    );
  }
}

function dropMask({ masks }: Values, ref: TensorRef): void {
  masks.get(refKey(ref))?.dispose();
  masks.delete(refKey(ref));
}

/**
 * Returns a function that gives each tensor a handle of its own: a clone if it is `borrowed` or was returned before.
 */
export function ownHandles(borrowed: Iterable<tf.Tensor>): (tensor: tf.Tensor) => tf.Tensor {
  const taken = new Set(borrowed);
  return (tensor) => {
    const handle = taken.has(tensor) ? tensor.clone() : tensor;
    taken.add(handle);
    return handle;
  };
}

function argumentOf(argument: Argument, values: Values): KernelArgument {
  switch (argument.kind) {
    case "tensor":
      return tensorOf(values, argument.ref);
    case "value":
      return argument.value;
    case "list":
      return argument.items.map((item) => argumentOf(item, values));
    case "record":
      return Object.fromEntries(
        Object.entries(argument.entries).map(([name, entry]) => [name, argumentOf(entry, values)]),
      );
  }
}

/**
 * Returns the masks of a call's inputs: those of its `mask` argument if it has one, else those attached to the inputs.
 */
export function givenMasks(
  attached: readonly (tf.Tensor | undefined)[],
  argument: KernelArgument | undefined,
): readonly (tf.Tensor | undefined)[] {
  if (argument instanceof tf.Tensor) return [asMask(argument), ...attached.slice(1)];
  if (!Array.isArray(argument)) return attached;
  return attached.map((mask, index) => {
    const given = (argument as readonly KernelArgument[])[index];
    return given instanceof tf.Tensor ? asMask(given) : mask;
  });
}

/** Casts a mask to booleans. A model input that serves as a mask contains numbers. */
function asMask(given: tf.Tensor): tf.Tensor {
  return given.dtype === "bool" ? given : tf.cast(given, "bool");
}
