import type { UpdateOperation } from "../engine/in-place-updates.ts";
import type { OptimizerConfig } from "./optimizer-config.ts";

/**
 * TensorFlow's operation that computes what Keras's optimizer does (`tensorflow/core/kernels/training_ops.cc`); undefined where none
 * does.
 */
export function updateOperation({ className, settings }: OptimizerConfig): UpdateOperation | undefined {
  const number = (name: string): number => settings[name] as number;
  const flag = (name: string): boolean => settings[name] === true;
  switch (className) {
    case "SGD":
      return sgd(number("momentum"), flag("nesterov"));
    case "RMSprop":
      return rmsprop(number("rho"), number("momentum"), number("epsilon"), flag("centered"));
    case "Adam":
    case "AdamW":
      return flag("amsgrad") ? undefined : adam(number("beta_1"), number("beta_2"), number("epsilon"));
    default:
      return undefined;
  }
}

function sgd(momentum: number, nesterov: boolean): UpdateOperation {
  if (momentum === 0) {
    return {
      name: "ResourceApplyGradientDescent",
      slots: [],
      operands: (learningRate) => [learningRate, "gradient"],
    };
  }
  return {
    name: "ResourceApplyKerasMomentum",
    slots: ["kept"],
    operands: (learningRate) => [learningRate, "gradient", momentum],
    flags: { use_nesterov: nesterov },
  };
}

function rmsprop(rho: number, momentum: number, epsilon: number, centered: boolean): UpdateOperation {
  const moved = momentum > 0 ? "kept" : "scratch";
  return {
    name: centered ? "ResourceApplyCenteredRMSProp" : "ResourceApplyRMSProp",
    slots: centered ? ["kept", "kept", moved] : ["kept", moved],
    operands: (learningRate) => [learningRate, rho, momentum, epsilon, "gradient"],
  };
}

function adam(beta1: number, beta2: number, epsilon: number): UpdateOperation {
  return {
    name: "ResourceApplyAdam",
    slots: ["kept", "kept"],
    operands: (learningRate, step) => [
      Math.fround(beta1) ** step,
      Math.fround(beta2) ** step,
      learningRate,
      beta1,
      beta2,
      epsilon,
      "gradient",
    ],
    flags: { use_nesterov: false },
  };
}
