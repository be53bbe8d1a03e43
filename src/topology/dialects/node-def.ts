import type { Json, JsonObject } from "../../checkpoint.ts";
import { isObject } from "../config-values.ts";
import type { CallDescription, NamedArgument, TensorName } from "./description.ts";
import { nodeKinds } from "./node-kinds.ts";

/** A node of a TensorFlow graph as a call of the function that creates such nodes. */
export interface FunctionCall {
  /** Config as that of a TFOpLambda. */
  readonly config: JsonObject;
  readonly call: CallDescription;
}

/**
 * Returns the TensorFlow function behind a TensorFlowOpLayer, which Keras in TensorFlow 2.0 to 2.4 stored as a NodeDef
 * with its constant inputs by position. Returns undefined for an unknown kind of node, whose layer is then refused.
 * @param listed Returns the items of a tensor that another node packed from them.
 */
export function functionOfNode(
  { name, trainable, node_def, constants }: JsonObject,
  call: CallDescription,
  listed: (tensor: TensorName) => readonly NamedArgument[] | undefined = () => undefined,
): FunctionCall | undefined {
  const node = parsed(node_def ?? null);
  const kind = nodeKinds[String(node?.["op"])];
  if (!kind || !node) return undefined;
  const given = inputsOf(call, isObject(constants) ? constants : {});
  const inputs = kind.isLast ? [...given.slice(-1), ...given.slice(0, -1)] : given;
  const first = kind.isListed ? inputs.slice(0, inputs.length - kind.inputs.length) : inputs.slice(0, 1);
  const named = kind.inputs.map((key, index) => {
    const input = inputs[first.length + index];
    const items = key === "shape" && input?.kind === "tensor" ? listed(input.tensor) : undefined;
    return [key, items ? ({ kind: "list", items } as const) : input] as const;
  });
  if (first.length === 0 || named.some(([, input]) => input === undefined)) return undefined;
  const attributes = kind.attributes(isObject(node["attr"]) ? node["attr"] : {});
  return {
    config: { name: name ?? null, trainable: trainable ?? true, function: kind.function },
    call: {
      args: kind.isListed ? [{ kind: "list", items: first }] : first,
      kwargs: {
        ...Object.fromEntries(
          Object.entries(attributes).map(([key, value]) => [key, { kind: "value", value }]),
        ),
        ...(Object.fromEntries(named) as Record<string, NamedArgument>),
      },
    },
  };
}

/** Returns the items of a node that packs numbers into a shape, undefined for any other node. */
export function packedItems(
  { node_def, constants }: JsonObject,
  call: CallDescription,
): readonly NamedArgument[] | undefined {
  if (parsed(node_def ?? null)?.["op"] !== "Pack") return undefined;
  return inputsOf(call, isObject(constants) ? constants : {});
}

/** Returns the kind of node (`FFT`) in the config of a TensorFlowOpLayer, undefined if there is none. */
export function kindOfNode({ node_def }: JsonObject): string | undefined {
  const kind = parsed(node_def ?? null)?.["op"];
  return typeof kind === "string" ? kind : undefined;
}

/** Parses the node, which is an object or its text, depending on the release. */
function parsed(node: Json): JsonObject | undefined {
  if (typeof node !== "string") return isObject(node) ? node : undefined;
  try {
    const read = JSON.parse(node) as Json;
    return isObject(read) ? read : undefined;
  } catch {
    return undefined;
  }
}

/** Returns the node's inputs: constants at their positions and the tensors of the call between them. */
function inputsOf({ args }: CallDescription, constants: JsonObject): readonly NamedArgument[] {
  const tensors = args.flatMap((argument) => (argument.kind === "list" ? argument.items : [argument]));
  const count = tensors.length + Object.keys(constants).length;
  let next = 0;
  return Array.from({ length: count }, (_, position) => constants[String(position)]).flatMap(
    (value): readonly NamedArgument[] => {
      if (value !== undefined) return [{ kind: "value", value }];
      next += 1;
      return tensors.slice(next - 1, next);
    },
  );
}
