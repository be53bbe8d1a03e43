import { adadelta, adagrad, ftrl, rmsprop } from "./adagrad.ts";
import { adam, adamax, adamW, lamb, nadam, scheduleFreeAdamW } from "./adam.ts";
import { adafactor, muon } from "./matrix.ts";
import { lion, sgd } from "./sgd.ts";
import type { OptimizerClass, OptimizerSettings, TrainedVariable, UpdateRule } from "./update-rule.ts";

/** Every optimizer that there is. A new one is a line here and a record in the file of its family. */
export const classes: readonly OptimizerClass[] = [
  sgd,
  rmsprop,
  adam,
  adamW,
  adamax,
  nadam,
  adagrad,
  adadelta,
  adafactor,
  ftrl,
  lion,
  lamb,
  muon,
  scheduleFreeAdamW,
];

/** Returns the class of that name, in upper or lower case; undefined where there is none. */
export function classOf(name: string): OptimizerClass | undefined {
  return classes.find(({ className }) => className.toLowerCase() === name.toLowerCase());
}

/** Returns how an optimizer moves a variable. */
export function updateRule(
  { className, settings }: { readonly className: string; readonly settings: OptimizerSettings },
  variable: TrainedVariable,
): UpdateRule {
  const found = classOf(className);
  if (!found) throw new Error(`optimizers: no class ${className}`);
  return found.rule(settings, variable);
}
