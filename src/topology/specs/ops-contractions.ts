import type { Json, JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import type { Shape } from "../../tensor.ts";
import { formatShape } from "../../tensor.ts";
import { positiveAxis, stringAt } from "../config-values.ts";
import type { CallShapes, LayerSpec } from "../layer-spec.ts";
import { operation } from "../layer-spec.ts";
import { broadcastShapes } from "./broadcast.ts";
import { operandShapes } from "./ops-elementwise.ts";
import { sampleSize } from "./windows.ts";

/** @file Matrix products of keras.ops (`keras/src/ops/numpy.py`). */

/** Matmul (`compute_matmul_output_shape` of `keras/src/ops/operation_utils.py`). */
const matmul: LayerSpec = {
  className: "ops.Matmul",
  defaults: {},
  outputShapes: (call) => {
    const [a, b] = pair(call);
    const left: Shape = a.length === 1 ? [1, ...a] : a;
    const right: Shape = b.length === 1 ? [...b, 1] : b;
    requireEqual(left.at(-1) ?? null, right.at(-2) ?? null, a, b);
    return [
      [
        ...broadcastShapes(left.slice(0, -2), right.slice(0, -2)),
        ...(a.length === 1 ? [] : left.slice(-2, -1)),
        ...(b.length === 1 ? [] : right.slice(-1)),
      ],
    ];
  },
  multiplyAdds: (call) => sampleSize(call.outputs[0]) * (pair(call)[0].at(-1) ?? 0),
};

/** Dot, which contracts the last axis of the first operand with the second to last axis of the second, as in NumPy. */
const dot: LayerSpec = {
  className: "ops.Dot",
  defaults: {},
  outputShapes: (call) => {
    const [a, b] = pair(call);
    if (a.length === 0 || b.length === 0) return [a.length === 0 ? b : a];
    const inner = Math.max(0, b.length - 2);
    requireEqual(a.at(-1) ?? null, b[inner] ?? null, a, b);
    return [[...a.slice(0, -1), ...b.filter((_, axis) => axis !== inner)]];
  },
  multiplyAdds: (call) => sampleSize(call.outputs[0]) * (pair(call)[0].at(-1) ?? 0),
};

/** Einsum. If one operand has an unknown size, the known size of another one applies. */
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
  const operands = operandShapes(call);
  const { terms, output } = einsumLetters(stringAt(call.config, "subscripts"), operands);
  const sizes = new Map<string, number | null>();
  terms.forEach((term, at) => {
    [...term].forEach((letter, axis) => {
      const operand = operands[at] ?? [];
      const size = operand[axis] ?? null;
      const known = sizes.get(letter) ?? null;
      if (known !== null && size !== null) requireEqual(known, size, operands[0] ?? [], operand);
      sizes.set(letter, known ?? size);
    });
  });
  return { sizes, output: [...output].map((letter) => sizes.get(letter) ?? null) };
}

/** Subscripts of an einsum with a letter for each axis. */
export interface EinsumLetters {
  readonly terms: readonly string[];
  readonly output: string;
}

/**
 * Parses the subscripts of an einsum, expands ellipses and completes a missing output.
 * @throws {TopologyError} if the subscripts do not match the operands' axes.
 */
export function einsumLetters(written: string, operands: readonly Shape[]): EinsumLetters {
  const subscripts = written.replaceAll(" ", "");
  const [left = "", right] = subscripts.split("->");
  const parts = left.split(",");
  const spare = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"].filter(
    (letter) => !subscripts.includes(letter),
  );
  const hidden = parts.map((term, at) =>
    term.includes("...") ? (operands[at]?.length ?? 0) - term.length + 3 : 0,
  );
  const longest = Math.max(0, ...hidden);
  const stand = (count: number): string => spare.slice(longest - count, longest).join("");
  const terms = parts.map((term, at) => term.replace("...", stand(hidden[at] ?? 0)));
  const fits =
    terms.length === operands.length && terms.every((term, at) => term.length === operands[at]?.length);
  const whole = right?.replace("...", stand(longest));
  if (![...terms, whole ?? ""].every((term) => /^[a-zA-Z]*$/.test(term)) || !fits) {
    throw new TopologyError(
      `subscripts: expected a letter for each axis of ${operands.map(formatShape).join(" and ")}, got "${subscripts}".`,
      "shape",
    );
  }
  return { terms, output: whole ?? stand(longest) + lettersOnce(left.replaceAll(/[.,]/g, "")) };
}

/**
 * Returns the letters that occur once, in alphabetical order, which are the output of an equation without an arrow.
 */
function lettersOnce(letters: string): string {
  return [...letters]
    .filter((letter) => letters.split(letter).length === 2)
    .sort()
    .join("");
}

/** Returns the shapes of exactly two operands. @throws {TopologyError} if there are more or fewer. */
export function pair(call: CallShapes): [Shape, Shape] {
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

/** Inner, which contracts the last axes of both operands. */
const inner: LayerSpec = {
  className: "ops.Inner",
  defaults: {},
  outputShapes: (call) => {
    const [a, b] = pair(call);
    requireEqual(a.at(-1) ?? null, b.at(-1) ?? null, a, b);
    return [[...a.slice(0, -1), ...b.slice(0, -1)]];
  },
  multiplyAdds: (call) => sampleSize(call.outputs[0]) * (pair(call)[0].at(-1) ?? 0),
};

/** Returns the axes of both operands that `tensordot` contracts. @param rank Rank of the first operand. */
export function tensordotAxes(axes: Json | undefined, rank: number): [number[], number[]] {
  if (typeof axes === "number") {
    const range = Array.from({ length: axes }, (_, index) => index);
    return [range.map((index) => rank - axes + index), range];
  }
  if (Array.isArray(axes) && axes.length === 2)
    return [[axes[0]].flat(), [axes[1]].flat()] as [number[], number[]];
  throw new TopologyError(`axes: expected a number or two lists, got ${JSON.stringify(axes ?? null)}.`);
}

const tensordot: LayerSpec = {
  className: "ops.Tensordot",
  defaults: { axes: 2 },
  outputShapes: (call) => {
    const [a, b] = pair(call);
    const [left, right] = tensordotAxes(call.config["axes"], a.length);
    const from = left.map((axis) => positiveAxis(axis, a.length));
    const to = right.map((axis) => positiveAxis(axis, b.length));
    from.forEach((axis, index) => {
      requireEqual(a[axis] ?? null, b[to[index] ?? -1] ?? null, a, b);
    });
    return [[...a.filter((_, axis) => !from.includes(axis)), ...b.filter((_, axis) => !to.includes(axis))]];
  },
};

/** Cross, the product of 3-vectors along the last axis. */
const cross: LayerSpec = {
  className: "ops.Cross",
  defaults: { axisa: -1, axisb: -1, axisc: -1, axis: null },
  outputShapes: (call) => {
    const [a, b] = pair(call);
    const axes = ["axisa", "axisb", "axisc"].map((key) => call.config[key]);
    if (a.at(-1) === 3 && b.at(-1) === 3 && axes.every((axis) => axis === -1)) return [broadcastShapes(a, b)];
    throw new TopologyError(
      `operands: expected vectors of 3 along the last axis, got ${formatShape(a)} and ${formatShape(b)}.`,
      "shape",
    );
  },
};

/** Creates the spec of an operation on square matrices in the last two axes (`keras/src/ops/linalg.py`). */
export function ofMatrices(
  name: string,
  shapeOf: (matrix: Shape, call: CallShapes) => Shape,
  defaults: JsonObject = {},
): LayerSpec {
  return operation(
    name,
    (matrix, call) => {
      requireEqual(matrix.at(-1) ?? null, matrix.at(-2) ?? null, matrix, matrix);
      return shapeOf(matrix, call);
    },
    defaults,
  );
}

/** Slogdet, which returns the sign and the logarithm of the absolute determinant. */
const slogdet: LayerSpec = {
  ...ofMatrices("Slogdet", (matrix) => matrix.slice(0, -2)),
  outputShapes: ({ inputs }) => [inputs[0].slice(0, -2), inputs[0].slice(0, -2)],
};

/** CDist, the distances from each row of one operand to each row of the other. */
const distances: LayerSpec = {
  className: "ops.CDist",
  defaults: {},
  outputShapes: (call) => {
    const [a, b] = pair(call);
    requireEqual(a.at(-1) ?? null, b.at(-1) ?? null, a, b);
    return [[...broadcastShapes(a.slice(0, -2), b.slice(0, -2)), a.at(-2) ?? null, b.at(-2) ?? null]];
  },
};

/** Sizes of the matrices in the last two axes. */
interface MatrixSizes {
  readonly lead: Shape;
  readonly rows: number | null;
  readonly columns: number | null;
  /** Smaller of both. */
  readonly least: number | null;
}

/** Returns the sizes of the matrices in the last two axes. @throws {TopologyError} for a vector. */
export function matrixSizes(shape: Shape): MatrixSizes {
  const [rows, columns] = shape.slice(-2);
  if (rows === undefined || columns === undefined) {
    throw new TopologyError(`x: expected matrices, got ${formatShape(shape)}.`, "shape");
  }
  const least = rows === null || columns === null ? null : Math.min(rows, columns);
  return { lead: shape.slice(0, -2), rows, columns, least };
}

/** Qr, which returns an orthogonal and an upper triangular factor. */
const qr: LayerSpec = {
  className: "ops.Qr",
  defaults: { mode: "reduced" },
  outputShapes: ({ inputs, config }) => {
    const { lead, rows, columns, least } = matrixSizes(inputs[0]);
    const inner = config["mode"] === "complete" ? rows : least;
    return [
      [...lead, rows, inner],
      [...lead, inner, columns],
    ];
  },
};

export const contractionOpSpecs: readonly LayerSpec[] = [
  matmul,
  dot,
  einsum,
  inner,
  tensordot,
  cross,
  ofMatrices("Det", (matrix) => matrix.slice(0, -2)),
  ofMatrices("Logdet", (matrix) => matrix.slice(0, -2)),
  slogdet,
  distances,
  ofMatrices("Inv", (matrix) => matrix),
  ofMatrices("Cholesky", (matrix) => matrix, { upper: false }),
  ofMatrices("CholeskyInverse", (matrix) => matrix, { upper: false }),
  qr,
  ofMatrices("Solve", (_, call) => pair(call)[1]),
  ofMatrices("SolveTriangular", (_, call) => pair(call)[1], { lower: false }),
];
