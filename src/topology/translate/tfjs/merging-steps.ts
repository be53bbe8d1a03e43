import { integersAt, positiveAxis } from "../../config-values.ts";
import { picked, refuse, type SourceLayer, type StepRule, type TfjsStep } from "./step.ts";

function merging(className: string): [string, StepRule] {
  return [className, ({ inputs }) => (inputs.length === 1 ? [alone] : [{ className, config: {} }])];
}

/** Stands for a merge of one tensor, since tfjs-layers merges at least two. */
const alone = { className: "Activation", config: { activation: "linear" } };

/**
 * Translates Concatenate. The axis is written as a positive index, since tfjs-layers supports no negative one but -1.
 */
export function concatenate({ config, inputs }: SourceLayer): readonly TfjsStep[] {
  const rank = inputs[0]?.length ?? 0;
  const [axis = -1] = integersAt({ axis: -1, ...config }, "axis");
  return [{ className: "Concatenate", config: { axis: rank > 0 ? positiveAxis(axis, rank) : axis } }];
}

/** Rules for merging layers. */
export const mergingSteps: readonly (readonly [string, StepRule])[] = [
  merging("Add"),
  merging("Multiply"),
  merging("Average"),
  merging("Maximum"),
  merging("Minimum"),
  ["Concatenate", concatenate],
  [
    "Subtract",
    () => [
      { className: "Rescaling", config: { scale: -1, offset: 0 }, reads: [{ input: 1 }] },
      { className: "Add", config: {}, reads: [{ input: 0 }, { step: 0 }] },
    ],
  ],
  [
    "Dot",
    (layer) => {
      if (layer.inputs.some((shape) => shape.length > 3))
        refuse(layer, "supports inputs of at most three dimensions");
      return [{ className: "Dot", config: picked(layer.config, ["axes", "normalize"]) }];
    },
  ],
];
