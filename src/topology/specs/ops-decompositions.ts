import type { JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import type { Shape } from "../../tensor.ts";
import { formatShape } from "../../tensor.ts";
import { booleanAt } from "../config-values.ts";
import type { LayerSpec } from "../layer-spec.ts";
import { operation } from "../layer-spec.ts";
import { acrossBatch } from "./ops-across-batch.ts";
import { matrixSizes, ofMatrices, pair } from "./ops-contractions.ts";

/** @file Decompositions of the matrices in the last two axes (`keras/src/ops/linalg.py`). */

/** Eigh, which returns eigenvalues and eigenvectors. */
const eigh: LayerSpec = {
  ...ofMatrices("Eigh", (matrix) => matrix),
  outputShapes: ({ inputs }) => [inputs[0].slice(0, -1), inputs[0]],
};

/** SVD, which returns left vectors, singular values and right vectors, or only the values. */
const svd: LayerSpec = {
  className: "ops.SVD",
  defaults: { full_matrices: true, compute_uv: true },
  outputShapes: ({ inputs, config }) => {
    const { lead, rows, columns, least } = matrixSizes(inputs[0]);
    const values: Shape = [...lead, least];
    if (!booleanAt(config, "compute_uv")) return [values];
    const full = booleanAt(config, "full_matrices");
    return [[...lead, rows, full ? rows : least], values, [...lead, full ? columns : least, columns]];
  },
};

/**
 * LuFactor, which returns both factors in one matrix and the row permutation. As in TensorFlow its rows are the samples.
 */
const luFactor: LayerSpec = {
  ...ofMatrices("LuFactor", (matrix) => matrix),
  couplesBatch: true,
  outputShapes: ({ inputs }) => [inputs[0], inputs[0].slice(0, -1)],
  outputDTypes: ({ dtypes }) => [dtypes[0], "int32"],
};

const rcond: JsonObject = { rcond: null };

export const decompositionOpSpecs: readonly LayerSpec[] = [
  eigh,
  svd,
  luFactor,
  operation(
    "Pinv",
    (input) => {
      const { lead, rows, columns } = matrixSizes(input);
      return [...lead, columns, rows];
    },
    rcond,
  ),
  operation(
    "MatrixRank",
    (input) => matrixSizes(input).lead,
    { tol: null },
    { outputDTypes: () => ["int32"] },
  ),
  acrossBatch(
    "Lstsq",
    (_, call) => {
      const [a, b] = pair(call);
      const [rows, columns] = a;
      if (
        a.length === 2 &&
        (b.length === 1 || b.length === 2) &&
        (rows === null || b[0] === null || rows === b[0])
      ) {
        return [[columns ?? null, ...b.slice(1)]];
      }
      throw new TopologyError(
        `operands: expected a matrix and a vector or matrix with as many rows, got ${formatShape(a)} and ${formatShape(b)}.`,
        "shape",
      );
    },
    rcond,
  ),
];
