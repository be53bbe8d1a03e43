import type { Json, JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import type { Shape } from "../../tensor.ts";
import { formatShape } from "../../tensor.ts";
import { stringAt } from "../config-values.ts";
import type { CallShapes, LayerSpec, WeightSpec } from "../layer-spec.ts";
import { type KernelLayout, quantizedWeights } from "./quantized-weights.ts";
import { kernelAndBias, variable, withLowRank } from "./variables.ts";
import { sampleSize } from "./windows.ts";

/** Terms of an equation with a letter for every axis. */
export interface EinsumTerms {
  readonly input: string;
  readonly kernel: string;
  readonly output: string;
  /** Number of input axes that the ellipsis stands for, and whether it is on the left. */
  readonly elided: number;
  readonly left: boolean;
}

/**
 * Parses an equation of the form `ab,bc->ac`, `...a,ab->...b` or `ab...,bc->ac...` for an input of `rank` axes.
 * @throws {TopologyError} for another form.
 */
export function einsumTerms(equation: string, rank: number): EinsumTerms {
  const spaceless = equation.replaceAll(" ", "");
  const match = /^(\.{3})?([a-zA-Z]+)(\.{3})?,([a-zA-Z]+)->(\.{3})?([a-zA-Z]+)(\.{3})?$/.exec(spaceless);
  const [, inLeft, input = "", inRight, kernel = "", outLeft, output = "", outRight] = match ?? [];
  const elided = rank - input.length;
  const consistent = Boolean(inLeft) === Boolean(outLeft) && Boolean(inRight) === Boolean(outRight);
  if (!match || !consistent || (inLeft && inRight) || elided < 0 || (elided > 0 && !inLeft && !inRight)) {
    throw new TopologyError(
      `equation: expected an equation such as "ab,bc->ac" or "...a,ab->...b" for an input of rank ${rank}, got "${equation}".`,
      "shape",
    );
  }
  const free = [..."abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"]
    .filter((letter) => !`${input}${kernel}${output}`.includes(letter))
    .slice(0, elided)
    .join("");
  const whole = (term: string): string => (inLeft ? free + term : term + free);
  return { input: whole(input), kernel, output: whole(output), elided, left: Boolean(inLeft) };
}

/** Returns the sizes by letter, from the input and from the config's output shape, which has no batch. */
function sizesOf(
  { config, inputs }: Pick<CallShapes, "config" | "inputs">,
  terms: EinsumTerms,
): ReadonlyMap<string, number | null> {
  const sizes = new Map([...terms.input].map((letter, axis) => [letter, inputs[0][axis] ?? null] as const));
  const stated = statedOutput(config["output_shape"]);
  const start = terms.left ? Math.max(1, terms.elided) : 1;
  stated.forEach((size, index) => {
    const letter = terms.output[start + index];
    if (letter === undefined || size === null) return;
    const known = sizes.get(letter) ?? null;
    if (known !== null && known !== size) {
      throw new TopologyError(
        `output_shape: expected the size ${known} of axis "${letter}" of the input ${formatShape(inputs[0])}, got ${size}.`,
        "shape",
      );
    }
    sizes.set(letter, size);
  });
  return sizes;
}

function statedOutput(shape: Json | undefined): Shape {
  if (typeof shape === "number") return [shape];
  if (Array.isArray(shape) && shape.every((size) => size === null || typeof size === "number")) {
    return shape as Shape;
  }
  throw new TopologyError(`output_shape: expected sizes, got ${JSON.stringify(shape ?? null)}.`);
}

function weights(call: CallShapes): WeightSpec[] {
  const { config } = call;
  const terms = einsumTerms(stringAt(config, "equation"), call.inputs[0].length);
  const sizes = sizesOf(call, terms);
  const size = (letter: string): number => {
    const known = sizes.get(letter);
    if (typeof known === "number") return known;
    throw new TopologyError(`equation: expected a known size of axis "${letter}", got none.`, "shape");
  };
  const kernel = variable(config, "kernel", [...terms.kernel].map(size));
  const biasAxes = config["bias_axes"];
  const bias =
    typeof biasAxes === "string" ? [variable(config, "bias", biasShape(terms, biasAxes, size))] : [];
  const scaleShape = [...terms.output].map((letter) => (terms.kernel.includes(letter) ? size(letter) : 1));
  const layout = { ...matrixLayout(terms, kernel.shape), scaleShape };
  return quantizedWeights(config, withLowRank(config, [kernel, ...bias]), layout);
}

/**
 * Returns the layout of a quantized kernel, a matrix whose rows are the summed axes and whose columns are the others.
 */
function matrixLayout({ kernel, output }: EinsumTerms, shape: readonly number[]) {
  const product = (keeps: (letter: string) => boolean): number =>
    [...kernel].reduce((size, letter, axis) => (keeps(letter) ? size * (shape[axis] ?? 1) : size), 1);
  const guessed = guessedMatrix(shape);
  return {
    rows: product((letter) => !output.includes(letter)),
    columns: product((letter) => output.includes(letter)),
    shared: "rows",
    zeroName: "zero_point",
    ...(guessed && { guessed }),
  } satisfies Omit<KernelLayout, "scaleShape">;
}

/** Returns the matrix sizes that GPTQ and AWQ assume: they take the largest of three axes for the model axis. */
function guessedMatrix(shape: readonly number[]): readonly [number, number] | undefined {
  if (shape.length !== 3) return undefined;
  const [first, second, third] = shape as readonly [number, number, number];
  return first >= Math.max(second, third) ? [first, second * third] : [first * second, third];
}

/** Returns the shape of the kernel before it was quantized. */
export function kernelShapeOf(config: JsonObject, input: Shape): readonly number[] {
  const terms = einsumTerms(stringAt(config, "equation"), input.length);
  const sizes = sizesOf({ config, inputs: [input] }, terms);
  return [...terms.kernel].map((letter) => sizes.get(letter) ?? 0);
}

/** Returns the shape of the bias, from its first axis on, with 1 for axes that share it. */
function biasShape(terms: EinsumTerms, axes: string, size: (letter: string) => number): number[] {
  const first = Math.min(...[...axes].map((letter) => terms.output.indexOf(letter)));
  if (first < 0) {
    throw new TopologyError(
      `bias_axes: expected axes of the output "${terms.output}", got "${axes}".`,
      "shape",
    );
  }
  return [...terms.output.slice(first)].map((letter) => (axes.includes(letter) ? size(letter) : 1));
}

/** EinsumDense (`keras/src/layers/core/einsum_dense.py`). */
const einsumDense: LayerSpec = {
  className: "EinsumDense",
  defaults: {
    activation: "linear",
    bias_axes: null,
    ...kernelAndBias,
  },
  weights,
  outputShapes: (call) => {
    const terms = einsumTerms(stringAt(call.config, "equation"), call.inputs[0].length);
    const sizes = sizesOf(call, terms);
    return [[...terms.output].map((letter) => sizes.get(letter) ?? null)];
  },
  multiplyAdds: (call) => {
    const { config, inputs, outputs } = call;
    const terms = einsumTerms(stringAt(config, "equation"), inputs[0].length);
    const sizes = sizesOf(call, terms);
    const summed = [...terms.kernel].filter((letter) => !terms.output.includes(letter));
    return summed.reduce((product, letter) => product * (sizes.get(letter) ?? 0), sampleSize(outputs[0]));
  },
};

export const einsumDenseSpecs: readonly LayerSpec[] = [einsumDense];
