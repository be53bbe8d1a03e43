import { activationOf } from "./activation-steps.ts";
import { concatenate } from "./merging-steps.ts";
import { refuse, type SourceLayer, type StepRule, type TfjsStep } from "./step.ts";

/** Returns an operation with a constant as a scale and an offset, undefined if it is not such a map. */
type Affine = (constant: number) => { readonly scale: number; readonly offset: number } | undefined;

/**
 * Returns the rule for arithmetic of a tensor and a number, or of two tensors of equal rank.
 * @param merging Rule for two tensors.
 * @param tensorFirst The operation `x op constant`.
 * @param constantFirst The operation `constant op x`.
 */
function arithmetic(merging: StepRule, tensorFirst: Affine, constantFirst: Affine): StepRule {
  return (layer) => {
    const [constant, ...more] = layer.constants;
    const [first, second, ...others] = layer.inputs;
    if (!constant && first && second && others.length === 0) {
      if (first.length !== second.length)
        refuse(layer, "broadcasts inputs of different ranks along other axes");
      return merging(layer);
    }
    if (!constant || more.length > 0 || typeof constant.value !== "number") {
      return refuse(layer, "has no layer for this operation on constants");
    }
    const affine = (constant.position === 0 ? constantFirst : tensorFirst)(constant.value);
    return affine
      ? [{ className: "Rescaling", config: affine }]
      : refuse(layer, "has no layer for this operation");
  };
}

function merged(className: string): StepRule {
  return () => [{ className, config: {} }];
}

const difference: StepRule = () => [
  { className: "Rescaling", config: { scale: -1, offset: 0 }, reads: [{ input: 1 }] },
  { className: "Add", config: {}, reads: [{ input: 0 }, { step: 0 }] },
];

const none: StepRule = (layer) => refuse(layer, "has no layer for this operation");
const plus: Affine = (constant) => ({ scale: 1, offset: constant });
const times: Affine = (constant) => ({ scale: constant, offset: 0 });

/** Returns the rule for an operation that is an activation. */
function activation(name: string): StepRule {
  return (layer) => {
    const named: SourceLayer = { ...layer, config: { activation: name } };
    const { name: own, after } = activationOf(named, () => none(layer));
    return after.length > 0 ? after : [{ className: "Activation", config: { activation: own } }];
  };
}

const activations: Readonly<Record<string, string>> = {
  Relu: "relu",
  Relu6: "relu6",
  Silu: "silu",
  Sigmoid: "sigmoid",
  Softplus: "softplus",
  Softsign: "softsign",
  Tanh: "tanh",
  HardSigmoid: "hard_sigmoid",
  HardSilu: "hard_silu",
};

const negative: readonly TfjsStep[] = [{ className: "Rescaling", config: { scale: -1, offset: 0 } }];

/** Rules for operations of keras.ops that tfjs-layers has layers for. */
export const operationSteps: readonly (readonly [string, StepRule])[] = [
  ["ops.Add", arithmetic(merged("Add"), plus, plus)],
  ["ops.Multiply", arithmetic(merged("Multiply"), times, times)],
  [
    "ops.Maximum",
    arithmetic(
      merged("Maximum"),
      () => undefined,
      () => undefined,
    ),
  ],
  [
    "ops.Minimum",
    arithmetic(
      merged("Minimum"),
      () => undefined,
      () => undefined,
    ),
  ],
  [
    "ops.Subtract",
    arithmetic(
      difference,
      (constant) => plus(-constant),
      (constant) => ({ scale: -1, offset: constant }),
    ),
  ],
  [
    "ops.TrueDivide",
    arithmetic(
      none,
      (constant) => times(1 / constant),
      () => undefined,
    ),
  ],
  ["ops.Negative", () => negative],
  ["ops.Concatenate", concatenate],
  ...Object.entries(activations).map(([name, own]) => [`ops.${name}`, activation(own)] as const),
];
