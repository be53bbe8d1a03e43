import { toFloat32 } from "../../../tensor.ts";
import { refuse, type SourceLayer, type StepRule, type TfjsStep } from "./step.ts";

/** Its numbers become arguments: in tfjs-layers they do not train. */
function layerScale(layer: SourceLayer): readonly TfjsStep[] {
  const [gamma] = layer.weights;
  if (!gamma) return refuse(layer, "needs its numbers, which are not in the file");
  return [{ className: "Rescaling", config: { scale: [...toFloat32(gamma)], offset: 0 } }];
}

function customScale({ config }: SourceLayer): readonly TfjsStep[] {
  return [
    { className: "Rescaling", config: { scale: config["scale"] ?? 1, offset: 0 }, reads: [{ input: 1 }] },
    { className: "Add", config: {}, reads: [{ input: 0 }, { step: 0 }] },
  ];
}

/** Rules for the layers that keras.applications defines for itself. */
export const applicationSteps: readonly (readonly [string, StepRule])[] = [
  ["LayerScale", layerScale],
  ["CustomScaleLayer", customScale],
];
