import type { Tensor } from "../tensor.ts";
import { toFloat32 } from "../tensor.ts";
import type { ModelOutput } from "./model-outputs.ts";
import type { TargetFacts } from "./target-facts.ts";
import { areOfPositions } from "./targets.ts";

/** Shape and values of an array of targets, compared with an output. */
export interface ArrayForm {
  /** True if targets are per position of the output. */
  readonly perPosition: boolean;
  /** True if the output has positions and the targets have none. */
  readonly ofSamples: boolean;
  /** True if the shape is that of class indices: the output's without its last axis, or with a last axis of 1. */
  readonly indexShaped: boolean;
  /** True if the shape is the output's; a last axis of 1 may be left out. */
  readonly valueShaped: boolean;
  /** Values per sample or position. */
  readonly width: number;
  /** True if all values are 0 or 1. */
  readonly binary: boolean;
  /** True if all values are from 0 to 1. */
  readonly shares: boolean;
  /** True if values can be class indices. */
  readonly countable: boolean;
}

export function arrayForm(
  output: ModelOutput,
  { tensor, range }: TargetFacts & { form: "array" },
): ArrayForm {
  const rank = output.shape.length;
  const { shape } = tensor;
  const perPosition = rank > 2 && areOfPositions(tensor, output.shape);
  const ofSamples = rank > 2 && !perPosition;
  const own = ofSamples ? 2 : rank;
  const isShort = shape.length === own - 1;
  const isWhole = shape.length === own;
  const last = shape.at(-1) ?? 1;
  const shares = range.low >= 0 && range.high <= 1;
  return {
    perPosition,
    ofSamples,
    indexShaped: (isShort || (isWhole && last === 1)) && (output.units !== 1 || ofSamples),
    valueShaped: !ofSamples && ((isWhole && last === output.units) || (isShort && output.units === 1)),
    width: isWhole ? last : 1,
    binary: range.whole && shares,
    shares,
    countable: range.whole && range.low >= 0,
  };
}

/** Returns whether each row along the last axis of an array of 0 and 1 has exactly one 1. */
export function isOneHot(tensor: Tensor): boolean {
  const width = tensor.shape.at(-1) ?? 1;
  const values = toFloat32(tensor);
  for (let row = 0; row < values.length / width; row++) {
    let ones = 0;
    for (let unit = 0; unit < width; unit++) {
      const value = values[row * width + unit];
      if (value === 1) ones++;
      else if (value !== 0) return false;
    }
    if (ones !== 1) return false;
  }
  return true;
}
