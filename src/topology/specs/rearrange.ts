import { TopologyError } from "../../errors.ts";
import type { Shape } from "../../tensor.ts";
import { formatShape } from "../../tensor.ts";
import type { CallShapes, LayerSpec } from "../layer-spec.ts";

/** A rearrangement of axes, which are split, permuted and joined (`keras/src/ops/einops.py`). */
export interface Rearrangement {
  /** Input shape with its groups of axes split. */
  readonly split: Shape;
  /** Position in `split` of each axis of the output before groups are joined. */
  readonly order: readonly number[];
  /** Output shape. */
  readonly joined: Shape;
}

/**
 * Parses a pattern such as `b (h h1) w -> b h (h1 w)` for an input.
 * @param lengths Lengths of axes that the input does not determine.
 * @throws {TopologyError} if the pattern does not fit the input.
 */
export function rearrangement(
  pattern: string,
  input: Shape,
  lengths: Readonly<Record<string, unknown>>,
): Rearrangement {
  const [from = [], to = []] = pattern.split("->").map(groupsOf);
  const sizes = new Map<string, number | null>();
  from.forEach((group, axis) => {
    const known = group.filter((name) => typeof lengths[name] === "number");
    const product = known.reduce((total, name) => total * Number(lengths[name]), 1);
    const whole = input[axis] ?? null;
    for (const name of group) {
      const own = known.includes(name) ? Number(lengths[name]) : whole === null ? null : whole / product;
      sizes.set(name, own);
    }
  });
  const names = from.flat();
  const order = to.flat().map((name) => names.indexOf(name));
  const whole = [...sizes.values()].every((size) => size === null || Number.isInteger(size));
  const each = new Set(order).size === names.length && order.length === names.length && !order.includes(-1);
  if (from.length !== input.length || !each || !whole) {
    throw new TopologyError(
      `pattern: expected a pattern that fits ${formatShape(input)} and names each axis on both sides, got "${pattern}".`,
      "shape",
    );
  }
  const joined = to.map((group) =>
    group.reduce<number | null>((product, name) => times(product, sizes.get(name) ?? null), 1),
  );
  return { split: names.map((name) => sizes.get(name) ?? null), order, joined };
}

/** Splits `b (h1 h) c` into `[["b"], ["h1", "h"], ["c"]]`. */
function groupsOf(side: string): string[][] {
  return (side.match(/\w+|\(.*?\)/g) ?? []).map((group) => group.match(/\w+/g) ?? []);
}

function times(a: number | null, b: number | null): number | null {
  return a === null || b === null ? null : a * b;
}

function constantsOf({ args, kwargs }: CallShapes): { pattern: string; lengths: Record<string, unknown> } {
  const named = Object.entries(kwargs).flatMap(([name, argument]) =>
    argument.kind === "value" ? [[name, argument.value] as const] : [],
  );
  const { pattern, ...lengths } = Object.fromEntries(named);
  const second = args[1];
  return { pattern: String(pattern ?? (second?.kind === "value" ? second.value : "")), lengths };
}

const rearrange: LayerSpec = {
  className: "ops.Rearrange",
  defaults: {},
  outputShapes: (call) => {
    const { pattern, lengths } = constantsOf(call);
    return [rearrangement(pattern, call.inputs[0], lengths).joined];
  },
  outputDTypes: ({ dtypes }) => [dtypes[0]],
};

export const rearrangeSpecs: readonly LayerSpec[] = [rearrange];
