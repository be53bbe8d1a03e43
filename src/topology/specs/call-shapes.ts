import type { Shape } from "../../tensor.ts";
import type { Argument } from "../layer-graph.ts";
import type { CallShapes } from "../layer-spec.ts";

/**
 * Shapes of a call's tensors by the names of its arguments, several where an argument is a list. `names` are those of positional
 * arguments, in order; masks and initial states are none.
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

/** Whether an argument is the constant `true`. */
export function isTrue(argument: Argument | undefined): boolean {
  return argument?.kind === "value" && argument.value === true;
}

/** What an argument says, where it is a constant. */
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
