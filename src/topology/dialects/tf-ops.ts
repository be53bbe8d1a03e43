import type { Json, JsonObject } from "../../checkpoint.ts";
import { isObject } from "../config-values.ts";
import {
  type CallDescription,
  type LayerDescription,
  type NamedArgument,
  tensorNamesIn,
} from "./description.ts";
import type { Composite, Operation } from "./tf-composites.ts";
import { composites } from "./tf-composites.ts";
import { functions } from "./tf-functions.ts";

/** A call of a TensorFlow function as a call of an operation of Keras 3 or of an equivalent layer. */
export interface ModernOp extends Step {
  /** Operations that run before, each named by the function's layer and a number. */
  readonly before?: readonly (Step & { readonly name: string })[];
}

interface Step {
  readonly className: string;
  readonly config: JsonObject;
  readonly call: CallDescription;
}

/** Returns whether a layer class of Keras 2 stands for a TensorFlow function in the graph. */
export function isTensorFlowFunction(className: string): boolean {
  return /^(TFOpLambda|SlicingOpLambda|TensorFlowOpLayer)$/.test(className);
}

/**
 * Converts a TensorFlow function in a functional graph of Keras 2 (TFOpLambda and SlicingOpLambda, since TensorFlow
 * 2.4) to Keras 3. Returns undefined if Keras 3 has no equivalent operation; the layer is then refused by name.
 */
export function modernTfOp(config: JsonObject, call: CallDescription | undefined): ModernOp | undefined {
  const name = String(config["function"]).replace(/^compat\.v1\./, "");
  if (!call) return undefined;
  const own = { name: config["name"] ?? name, trainable: config["trainable"] ?? true };
  const composite = composites[name];
  if (composite) return composed(composite, own, call);
  const found = functions[name];
  if (!found) return undefined;
  const operands = found.operands.flatMap((operand) => {
    const argument = call.kwargs[operand];
    return argument && !isNull(argument) ? [argument] : [];
  });
  const given = constantsOf(call, found.operands);
  const opConfig = given && found.config(given);
  if (!opConfig) return undefined;
  if (found.className === "ops.GetItem")
    operands.push({ kind: "value", value: modernKey(given["slice_spec"]) });
  return {
    className: found.className,
    config: { ...own, ...opConfig },
    call: { args: [...call.args, ...operands], kwargs: {} },
  };
}

/** Returns the constant keyword arguments of a call except for its operands, undefined if one is not a constant. */
function constantsOf({ kwargs }: CallDescription, operands: readonly string[]): JsonObject | undefined {
  const own = Object.entries(kwargs).filter(([key]) => !operands.includes(key));
  if (own.some(([, argument]) => argument.kind !== "value")) return undefined;
  return Object.fromEntries(own.map(([key, argument]) => [key, constantOf(argument)]));
}

function composed(
  { operands, build }: Composite,
  own: JsonObject,
  call: CallDescription,
): ModernOp | undefined {
  const given = constantsOf(call, operands);
  if (!given) return undefined;
  const before: (Step & { readonly name: string })[] = [];
  const step = ({ className, config = {}, args, kwargs = {} }: Operation): Step => ({
    className,
    config: { ...own, ...config },
    call: { args, kwargs },
  });
  const apply = (operation: Operation): NamedArgument => {
    const name = `${String(own["name"])}_step_${before.length}`;
    const made = step(operation);
    before.push({ ...made, name, config: { ...made.config, name } });
    return { kind: "tensor", tensor: { layer: name, call: 0, output: 0 } };
  };
  const [first] = call.args;
  const last = first && build({ x: first, operands: operands.map((key) => call.kwargs[key]), given, apply });
  return last && { ...step(last), before };
}

function isNull(argument: NamedArgument): boolean {
  return argument.kind === "value" && argument.value === null;
}

function constantOf(argument: NamedArgument): Json {
  return argument.kind === "value" ? argument.value : null;
}

/** Converts slices to the form that Keras 3 writes. */
function modernKey(key: Json | undefined): Json {
  const parts: readonly Json[] = Array.isArray(key) ? key : [key ?? null];
  return parts.map((part) => {
    if (!isObject(part)) return part;
    if (part["class_name"] === "__ellipsis__") return { class_name: "__ellipsis__", config: {} };
    return { class_name: "__slice__", config: part };
  });
}

/** Removes TensorFlow functions that no layer reads any more, such as those that computed the shape for a reshape. */
export function withoutUnread(
  layers: readonly LayerDescription[],
  outputs: NamedArgument,
): readonly LayerDescription[] {
  const read = new Set([
    ...tensorNamesIn(outputs).map(({ layer }) => layer),
    ...layers.flatMap(({ calls }) =>
      calls.flatMap(({ args, kwargs }) =>
        [...args, ...Object.values(kwargs)].flatMap(tensorNamesIn).map(({ layer }) => layer),
      ),
    ),
  ]);
  const isUnread = ({ name, model, calls }: LayerDescription): boolean =>
    !model && calls.length > 0 && !read.has(name);
  const kept = layers.filter((layer) => !(isUnread(layer) && ofTensorFlow(layer)));
  return kept.length === layers.length ? layers : withoutUnread(kept, outputs);
}

function ofTensorFlow({ className }: LayerDescription): boolean {
  return isTensorFlowFunction(className) || className.startsWith("ops.");
}
