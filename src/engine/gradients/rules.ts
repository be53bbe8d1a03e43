import { ownKernelGradients } from "../kernels/register.ts";
import { tf } from "../tf.ts";
import { arithmeticGradients } from "./arithmetic.ts";
import { elementwiseGradients } from "./elementwise.ts";
import { indexingGradients } from "./indexing.ts";
import { reductionGradients } from "./reductions.ts";
import type { GradientRule } from "./rule.ts";
import { shapeGradients } from "./shapes.ts";
import { spatialGradients } from "./spatial.ts";

const rules: ReadonlyMap<string, GradientRule> = new Map(
  [
    ...arithmeticGradients,
    ...elementwiseGradients,
    ...indexingGradients,
    ...ownKernelGradients,
    ...reductionGradients,
    ...shapeGradients,
    ...spatialGradients,
  ].map((rule) => [rule.kernel, rule]),
);

/** Registers the gradient of every kernel with tfjs, whose core registers none in Node. */
export function registerGradients(): void {
  for (const rule of rules.values()) registerGradient(rule);
}

function registerGradient({ kernel, saves, gradFunc }: GradientRule): void {
  const inputsToSave = saves.filter((name) => name !== "*" && !/^y\d*$/.test(name));
  const outputs = saves.filter((name) => /^y\d*$/.test(name)).map((name) => Number(name.slice(1)));
  const outputsToSave = Array.from({ length: Math.max(-1, ...outputs) + 1 }, (_, index) =>
    outputs.includes(index),
  );
  tf.registerGradient({
    kernelName: kernel,
    inputsToSave,
    outputsToSave,
    saveAllInputs: saves[0] === "*",
    gradFunc,
  });
}

/** Returns the rule by which tfjs differentiates `kernel`, undefined if tfjs uses another gradient. */
export function gradientRule(kernel: string): GradientRule | undefined {
  const rule = rules.get(kernel);
  return rule && tf.getGradient(kernel)?.gradFunc === rule.gradFunc ? rule : undefined;
}
