import { tf } from "../engine/tf.ts";
import { TopologyError } from "../errors.ts";
import { withErrorPrefix } from "../topology/call-outputs.ts";
import type { Argument, GraphLayer, GraphNode, TensorRef } from "../topology/layer-graph.ts";
import { refKey } from "../topology/layer-graph.ts";
import { specOf } from "../topology/layer-specs.ts";
import type { Kernel, KernelArgument, KernelContext, KernelResult } from "./kernel.ts";

/** Live tensors and masks of a run, by `refKey`. */
export interface Values {
  readonly tensors: Map<string, tf.Tensor>;
  readonly masks: Map<string, tf.Tensor>;
}

export function tensorOf(values: Values, ref: TensorRef): tf.Tensor {
  const tensor = values.tensors.get(refKey(ref));
  if (!tensor) throw new Error(`model: tensor ${refKey(ref)} is not there when it is read`);
  return tensor;
}

/** Runs one call of a layer. Its outputs and masks are the caller's. @throws {TopologyError} where no kernel knows the class. */
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
 * Calls a kernel and puts the layer's path before what it refuses. An error of tfjs for arguments that it does not take is one of
 * the layer's config; any other is a bug and stays as it is.
 */
function namingRefusal<T>({ path, className }: GraphLayer, call: () => T): T {
  try {
    return withErrorPrefix(path, call);
  } catch (error) {
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

/** A handle of its own for each tensor: a copy of one that is `borrowed` or was handed out before. */
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

/** The masks of a call's inputs: those of its `mask` argument where it has one, else those that came with the inputs. */
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

/** An input of the model that serves as a mask comes as numbers. */
function asMask(given: tf.Tensor): tf.Tensor {
  return given.dtype === "bool" ? given : tf.cast(given, "bool");
}
