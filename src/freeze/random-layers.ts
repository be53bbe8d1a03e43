import type { GraphLayer } from "../topology/layer-graph.ts";
import { specOf } from "../topology/layer-specs.ts";

/** Whether a layer draws random numbers in training; Dropout and noise of 0 draw none, nor does a recurrent layer without. */
export function isRandomLayer({ className, config }: Pick<GraphLayer, "className" | "config">): boolean {
  const spec = specOf(className);
  if (spec?.randomWith?.(config)) return true;
  return spec?.random === true && config["rate"] !== 0 && config["stddev"] !== 0;
}
