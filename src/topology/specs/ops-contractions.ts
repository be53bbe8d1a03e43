import { TopologyError } from "../../errors.ts";
import type { Shape } from "../../tensor.ts";
import { formatShape } from "../../tensor.ts";
import { stringAt } from "../config-values.ts";
import type { CallShapes, LayerSpec } from "../layer-spec.ts";
import { broadcastShapes } from "./broadcast.ts";
import { operandShapes } from "./ops-elementwise.ts";
import { sampleSize } from "./windows.ts";

/** Products of matrices in keras.ops (`keras/src/ops/numpy.py`). */

/** `keras/src/ops/operation_utils.py`, compute_matmul_output_shape. */
const matmul: LayerSpec = {
  className: "ops.Matmul",
  defaults: {},
  outputShapes: (call) => {
    const [a, b] = pair(call);
    const left = a.length === 1 ? [1, a[0]!] : a;
    const right = b.length === 1 ? [b[0]!, 1] : b;
    requireEqual(left.at(-1)!, right.at(-2)!, a, b);
    return [
      [
        ...broadcastShapes(left.slice(0, -2), right.slice(0, -2)),
        ...(a.length === 1 ? [] : [left.at(-2)!]),
        ...(b.length === 1 ? [] : [right.at(-1)!]),
      ],
    ];
  },
  multiplyAdds: (call) => sampleSize(call.outputs[0]!) * (pair(call)[0].at(-1) ?? 0),
};

/** As numpy's: the last axis of the first with the last but one of the second, all else side by side. */
const dot: LayerSpec = {
  className: "ops.Dot",
  defaults: {},
  outputShapes: (call) => {
    const [a, b] = pair(call);
    if (a.length === 0 || b.length === 0) return [a.length === 0 ? b : a];
    const inner = Math.max(0, b.length - 2);
    requireEqual(a.at(-1)!, b[inner]!, a, b);
    return [[...a.slice(0, -1), ...b.filter((_, axis) => axis !== inner)]];
  },
  multiplyAdds: (call) => sampleSize(call.outputs[0]!) * (pair(call)[0].at(-1) ?? 0),
};

/** Without an Ellipsis; an unknown size gives way to a known one. */
const einsum: LayerSpec = {
  className: "ops.Einsum",
  defaults: {},
  outputShapes: (call) => [einsumSizes(call).output],
  multiplyAdds: (call) => {
    const { sizes, output } = einsumSizes(call);
    const batch = output.length > 0 ? (output[0] ?? 1) : 1;
    const values = [...sizes.values()].reduce<number>((product, size) => product * (size ?? 1), 1);
    return values / batch;
  },
};

function einsumSizes(call: CallShapes): { sizes: ReadonlyMap<string, number | null>; output: Shape } {
  const subscripts = stringAt(call.config, "subscripts").replaceAll(" ", "");
  const [left = "", right] = subscripts.split("->");
  const terms = left.split(",");
  const operands = operandShapes(call);
  const fits =
    terms.length === operands.length && terms.every((term, at) => term.length === operands[at]!.length);
  if (!/^[a-zA-Z,]+(->[a-zA-Z]*)?$/.test(subscripts) || !fits) {
    throw new TopologyError(
      `subscripts: expected a letter for each axis of ${operands.map(formatShape).join(" and ")}, got "${subscripts}".`,
      "shape",
    );
  }
  const sizes = new Map<string, number | null>();
  terms.forEach((term, at) => {
    [...term].forEach((letter, axis) => {
      const size = operands[at]![axis]!;
      const known = sizes.get(letter) ?? null;
      if (known !== null && size !== null) requireEqual(known, size, operands[0]!, operands[at]!);
      sizes.set(letter, known ?? size);
    });
  });
  const output = right ?? lettersOnce(left.replaceAll(",", ""));
  return { sizes, output: [...output].map((letter) => sizes.get(letter) ?? null) };
}

/** The letters that stand once, in alphabetical order: what an equation without an arrow gives. */
function lettersOnce(letters: string): string {
  return [...letters]
    .filter((letter) => letters.split(letter).length === 2)
    .sort()
    .join("");
}

function pair(call: CallShapes): [Shape, Shape] {
  const operands = operandShapes(call);
  const [first, second] = operands;
  if (first && second && operands.length === 2) return [first, second];
  throw new TopologyError(`operands: expected 2, got ${operands.length}.`, "shape");
}

function requireEqual(a: number | null, b: number | null, first: Shape, second: Shape): void {
  if (a === null || b === null || a === b) return;
  throw new TopologyError(
    `operands: expected equal inner sizes, got ${formatShape(first)} and ${formatShape(second)}.`,
    "shape",
  );
}

export const contractionOpSpecs: readonly LayerSpec[] = [matmul, dot, einsum];
