import { picked, refuse, type StepRule } from "./step.ts";

function merging(className: string): [string, StepRule] {
  return [className, ({ inputs }) => (inputs.length === 1 ? [alone] : [{ className, config: {} }])];
}

/** tfjs-layers merges two tensors or more. */
const alone = { className: "Activation", config: { activation: "linear" } };

/** Rules for the layers that merge tensors. */
export const mergingSteps: readonly (readonly [string, StepRule])[] = [
  merging("Add"),
  merging("Multiply"),
  merging("Average"),
  merging("Maximum"),
  merging("Minimum"),
  ["Concatenate", ({ config }) => [{ className: "Concatenate", config: picked(config, ["axis"]) }]],
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
      if (layer.inputs.some((shape) => shape.length > 3)) refuse(layer, "contracts three dimensions at most");
      return [{ className: "Dot", config: picked(layer.config, ["axes", "normalize"]) }];
    },
  ],
];
