import type { TensorOperations } from "../engine/tensor-operations.ts";
import { operations } from "../engine/tensor-operations.ts";
import type { tf } from "../engine/tf.ts";
import { TopologyError, UsageError } from "../errors.ts";
import { formatShape, type Shape, sameShape } from "../tensor.ts";
import { addCustomSpec, customSpecOf, lambdaClass } from "../topology/custom-layers.ts";
import type { CallShapes, LayerSpec, WeightSpec } from "../topology/layer-spec.ts";
import { inputShapes } from "../topology/layer-spec.ts";
import { isBuiltIn } from "../topology/layer-specs.ts";
import { zeros } from "../topology/specs/variables.ts";
import { isForeign } from "../topology/support.ts";
import { addCustomKernel } from "./custom-kernels.ts";
import type { CustomCall, CustomLayer, CustomShapes, CustomSpec, CustomWeight } from "./custom-layer.ts";
import type { HeldState } from "./held-layers.ts";
import {
  heldCalls,
  heldMultiplyAdds,
  heldWeights,
  holdsCoupling,
  holdsRandom,
  isTensor,
} from "./held-layers.ts";
import type { Kernel, KernelCall, KernelResult } from "./kernel.ts";
import { weightIn } from "./kernel.ts";
import { kernelOf } from "./registry.ts";

/**
 * Makes a custom Keras layer known, whose Python code is not in the file: from then on files that hold it are read, inspected,
 * planned, predicted, frozen, trained and written back under the same class name. Register a class once in a process, before a
 * model with it is used. docs/custom-layers.md has examples.
 * @param layer The class's name in the file, its spec (weights and shapes) and its kernel (the `call` method).
 * @throws {UsageError} for a class of Keras's own, one that is registered already, or a spec or kernel of another type.
 *
 * @example
 * registerLayer({
 *   className: "MyPackage>Scale",
 *   spec: { weights: ({ inputs: [x] }) => [{ name: "scale", shape: [x.at(-1) ?? 1] }] },
 *   kernel: ({ inputs: [x], weights, ops }) => ops.mul(x, weights.scale),
 * });
 */
export function registerLayer<const Weight extends string = never, const Held extends string = never>(
  layer: CustomLayer<Weight, Held>,
): void {
  const given: CustomLayer = layer as unknown as CustomLayer;
  requireLayer(given);
  addCustomSpec(layerSpecOf(given));
  addCustomKernel(given.className, kernelFor(given));
}

/** Returns whether a value has the parts of a layer to register. */
export function isCustomLayer(value: unknown): value is CustomLayer {
  return typeof value === "object" && value !== null && "className" in value && "kernel" in value;
}

function requireLayer({ className, spec, kernel }: CustomLayer): void {
  const refuse = (expected: string, got: string, code = "layer-class"): UsageError =>
    new UsageError(`registerLayer: ${expected}, got ${got}.`, code, "className");
  if (typeof className !== "string" || !/^[^>]+(>[^>]+)?$/.test(className)) {
    throw refuse('className: expected a name such as "MyPackage>Scale"', JSON.stringify(className ?? null));
  }
  const name = JSON.stringify(className);
  if (className === "Lambda") {
    throw refuse(
      `${name}: expected the name of one layer too, such as "${lambdaClass("layer_name")}"`,
      "the class alone",
    );
  }
  if (isBuiltIn(className) || isForeign(className) || className.startsWith("ops.")) {
    const other = `Your own class of this name is registered by its package, "Package>${className}"`;
    throw new UsageError(
      `registerLayer: ${name}: expected a class that is not Keras's, got one of Keras's own. ${other}.`,
      "layer-class",
      "className",
    );
  }
  if (customSpecOf(className)?.className === className) {
    throw new UsageError(
      `registerLayer: ${name}: expected a class that is not registered yet, got it again. Register each class once.`,
      "layer-registered",
      "className",
    );
  }
  if (typeof spec !== "object" || spec === null)
    throw refuse(`${name}: spec: expected an object`, typeof spec);
  if (typeof kernel !== "function") throw refuse(`${name}: kernel: expected a function`, typeof kernel);
}

function layerSpecOf({ className, spec, kernel, version = "" }: CustomLayer): LayerSpec {
  const { defaults = {}, layers, random = false, couplesBatch = false, masking = false, multiplyAdds } = spec;
  return {
    className,
    defaults,
    weights: (call) => weightSpecs(spec, shapesOf(call)),
    outputShapes: (call) => outputShapes(spec, shapesOf(call)),
    multiplyAdds: (call) =>
      (multiplyAdds?.(shapesOf(call)) ?? 0) + (layers ? heldMultiplyAdds(layers, shapesOf(call)) : 0),
    ...(random && { random }),
    ...(layers && { randomWith: (config) => holdsRandom(layers, config) }),
    couplesBatch: ({ config, inputs }) =>
      couplesBatch || (!!layers && holdsCoupling(layers, { config, inputs, keras: 3 })),
    ...(masking && { masking }),
    codeIdentity: `${version}\n${String(kernel)}\n${String(layers ?? "")}`,
  };
}

function shapesOf({ config, inputs, keras }: CallShapes): CustomShapes {
  return { config, inputs, keras };
}

function weightSpecs({ weights = [], layers }: CustomSpec, shapes: CustomShapes): readonly WeightSpec[] {
  const own = typeof weights === "function" ? weights(shapes) : weights;
  return [...own.map(weightSpec), ...(layers ? heldWeights(layers, shapes) : [])];
}

function weightSpec({
  name,
  shape,
  trainable = true,
  initializer = zeros,
  regularizer = null,
  dtype,
}: CustomWeight): WeightSpec {
  const isShape = Array.isArray(shape) && shape.every((size) => Number.isSafeInteger(size) && size > 0);
  if (typeof name !== "string" || name === "" || !isShape) {
    throw new TopologyError(
      `weight ${JSON.stringify(name)}: expected a name and a shape of positive integers, got ${JSON.stringify(shape)}. The spec of the registered class says so.`,
      "custom-layer",
    );
  }
  return { name, shape, trainable, initializer, regularizer, ...(dtype && { dtype }) };
}

function outputShapes({ outputShape }: CustomSpec, shapes: CustomShapes): readonly Shape[] {
  const given = outputShape?.(shapes) ?? shapes.inputs[0];
  return given.some(Array.isArray) ? (given as readonly Shape[]) : [given as Shape];
}

function kernelFor({ className, spec, kernel }: CustomLayer): Kernel {
  return (call) => {
    const { config, context } = call;
    const inputs = inputShapes(call.inputs.map(({ shape }) => shape));
    const shapes: CustomShapes = { config, inputs, keras: context.keras };
    const state: HeldState = {};
    const given: CustomCall = {
      inputs: call.inputs as unknown as CustomCall["inputs"],
      weights: ownWeights(spec, shapes, call),
      layers: spec.layers ? heldCalls(kernelOf, spec.layers, shapes, call, state) : {},
      config,
      kwargs: call.kwargs,
      masks: call.masks,
      training: context.training,
      usesBatchStatistics: context.statistics === "batch",
      random: context.random,
      keras: context.keras,
      ops: operations satisfies TensorOperations,
    };
    const result = resultOf(className, kernel(given));
    requireShapes(result, outputShapes(spec, shapes));
    return { ...result, state: { ...state, ...result.state } };
  };
}

/** Returns the layer's own weights by name. @throws {TopologyError} if the file was read before the class was known. */
function ownWeights(spec: CustomSpec, shapes: CustomShapes, { weights }: KernelCall): CustomCall["weights"] {
  for (const { name } of weightSpecs(spec, shapes)) weightIn(weights, name);
  return weights;
}

function resultOf(className: string, given: unknown): KernelResult {
  if (isTensor(given)) return { outputs: [given] };
  if (Array.isArray(given) && given.every(isTensor)) return { outputs: given as readonly tf.Tensor[] };
  const record = given as Partial<KernelResult> | undefined | null;
  if (Array.isArray(record?.outputs) && record.outputs.every(isTensor)) return record as KernelResult;
  const got = given instanceof Promise ? "a promise" : given === null ? "null" : typeof given;
  throw new TopologyError(
    `kernel of ${className}: expected a tensor, a list of tensors or { outputs }, got ${got}.`,
    "custom-layer",
  );
}

/** Refuses outputs of other shapes than the spec says: the plan, the head and the cache rely on it. */
function requireShapes({ outputs }: KernelResult, expected: readonly Shape[]): void {
  const found = outputs.map(({ shape }) => shape);
  const fits =
    found.length === expected.length &&
    found.every((shape, index) => {
      const wanted = expected[index] ?? [];
      return sameShape(
        wanted.map((size, axis) => size ?? shape[axis] ?? null),
        shape,
      );
    });
  if (fits) return;
  const text = (shapes: readonly Shape[]): string => shapes.map(formatShape).join(", ") || "no output";
  throw new TopologyError(
    `kernel: expected ${text(expected)} as its spec's outputShape says, got ${text(found)}.`,
    "custom-layer",
  );
}
