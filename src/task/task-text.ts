/** A task in words, for the plan. */
import type { JsonObject } from "../checkpoint.ts";
import { lossClassName, lossNamed, lossOf, namedLoss } from "./losses/loss.ts";
import type { LossArgument } from "./losses/loss-argument.ts";
import { metricOf } from "./metrics/named-metric.ts";
import type { Task, TaskOutput } from "./task.ts";

/** Returns a line for each output: what it is asked, its loss and why, and its metrics. */
export function taskLines({ outputs }: Task): readonly string[] {
  return outputs.map((output) => {
    const name = outputs.length > 1 ? `${output.name}: ` : "";
    if (output.loss === null) return `${name}not trained`;
    const weight = output.lossWeight === 1 ? "" : ` times ${output.lossWeight}`;
    return `${name}${asked(output)}; loss ${lossText(output.loss)}${weight} ${output.reason}; metrics ${metricsText(output)}`;
  });
}

function asked({ kind, units, perPosition, labels }: TaskOutput): string {
  const where = perPosition ? " per position" : "";
  const count = kind === "classes" && units === 1 ? 2 : (labels?.length ?? units);
  if (kind === "classes") return `one of ${count ?? "several"} classes${where}`;
  if (kind === "labels") return `any of ${count ?? "several"} labels${where}`;
  return `${count ?? "several"} ${count === 1 ? "value" : "values"}${where}`;
}

/** Returns a loss as Keras's class with the settings that are not its defaults: `BinaryCrossentropy(from_logits)`. */
export function lossText(argument: LossArgument): string {
  if (typeof argument === "function") return argument.name || "of one's own";
  const { given, config } = namedLoss(argument);
  const name = lossNamed(given);
  if (name === undefined) return given;
  const plain = lossOf(name);
  const own = lossOf(argument);
  const settings: JsonObject = {
    ...Object.fromEntries(
      Object.entries(own.settings).filter(
        ([key, value]) => JSON.stringify(value) !== JSON.stringify(plain.settings[key]),
      ),
    ),
    ...(own.reduction !== plain.reduction && { reduction: config["reduction"] ?? "none" }),
  };
  const listed = Object.entries(settings).map(([key, value]) =>
    value === true ? key : `${key}=${JSON.stringify(value)}`,
  );
  return `${lossClassName(name) ?? name}${listed.length > 0 ? `(${listed.join(", ")})` : ""}`;
}

function metricsText({ metrics, weightedMetrics, units, loss }: TaskOutput): string {
  const indices = loss !== null && lossOf(loss).targets === "indices";
  const names = [...metrics, ...weightedMetrics].map(
    (metric) => metricOf(metric, { units: units ?? 1, indices, keras: 3 }).name,
  );
  return names.length > 0 ? names.join(", ") : "none";
}
