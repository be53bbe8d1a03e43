import type { Shape } from "../../tensor.ts";
import type { Argument } from "../layer-graph.ts";
import type { CallShapes } from "../layer-spec.ts";

/**
 * Returns the shapes of a call's tensors by argument name, several for an argument that is a list. Masks and initial
 * states are left out.
 * @param names Names of the positional arguments, in order.
 */
export function shapesByName(
  { args, kwargs, inputs }: Pick<CallShapes, "args" | "kwargs" | "inputs">,
  names: readonly string[],
): ReadonlyMap<string, readonly Shape[]> {
  const shapes = inputs[Symbol.iterator]();
  const found = new Map<string, readonly Shape[]>();
  const named = [
    ...args.map((argument, index) => [names[index] ?? String(index), argument] as const),
    ...Object.entries(kwargs).filter(([name]) => name !== "mask" && name !== "initial_state"),
  ];
  for (const [name, argument] of named) {
    const given = Array.from({ length: tensorCount(argument) }, () => shapes.next().value as Shape);
    if (given.length > 0) found.set(name, given);
  }
  return found;
}

function tensorCount(argument: Argument): number {
  switch (argument.kind) {
    case "tensor":
      return 1;
    case "value":
      return 0;
    case "list":
      return argument.items.reduce((sum, item) => sum + tensorCount(item), 0);
    case "record":
      return Object.values(argument.entries).reduce((sum, item) => sum + tensorCount(item), 0);
  }
}

/** Returns whether an argument is the constant `true`. */
export function isTrue(argument: Argument | undefined): boolean {
  return argument?.kind === "value" && argument.value === true;
}

/** Returns the value of an argument that is a constant, undefined for any other. */
export function constantAt(
  { args, kwargs }: Pick<CallShapes, "args" | "kwargs">,
  index: number,
  name: string,
): unknown {
  const argument = args[index] ?? kwargs[name];
  if (argument?.kind === "value") return argument.value;
  if (argument?.kind !== "list") return undefined;
  return argument.items.map((item) => (item.kind === "value" ? item.value : undefined));
}
