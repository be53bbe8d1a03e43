import type { Json, JsonObject } from "../../../checkpoint.ts";
import { isObject } from "../../config-values.ts";

/**
 * @file Layer arguments that matter only for training and for building weights. Those without an equivalent in
 * tfjs-layers are left out, since predictions do not depend on them. Constraints are all left out, because tfjs-layers
 * applies them to weights as it loads them.
 */

const initializerNames: Readonly<Record<string, string>> = {
  Zeros: "Zeros",
  Ones: "Ones",
  Constant: "Constant",
  RandomNormal: "RandomNormal",
  RandomUniform: "RandomUniform",
  TruncatedNormal: "TruncatedNormal",
  VarianceScaling: "VarianceScaling",
  GlorotNormal: "GlorotNormal",
  GlorotUniform: "GlorotUniform",
  HeNormal: "HeNormal",
  HeUniform: "HeUniform",
  LecunNormal: "LeCunNormal",
  LecunUniform: "LeCunUniform",
};

const initializerArguments = ["mean", "stddev", "minval", "maxval", "value", "scale", "mode", "seed"];

/** Returns the initializer and regularizer arguments of these variables, such as `kernel_initializer` for "kernel". */
export function trainingArguments(config: JsonObject, ...variables: readonly string[]): JsonObject {
  const entries = variables.flatMap((variable): [string, Json][] => {
    const initializer = tfjsInitializer(config[`${variable}_initializer`]);
    const regularizer = tfjsRegularizer(config[`${variable}_regularizer`]);
    return [
      ...(initializer ? [[`${variable}_initializer`, initializer] as [string, Json]] : []),
      ...(regularizer ? [[`${variable}_regularizer`, regularizer] as [string, Json]] : []),
    ];
  });
  return Object.fromEntries(entries);
}

function tfjsInitializer(json: Json | undefined): JsonObject | undefined {
  if (!isObject(json)) return undefined;
  const name = initializerNames[String(json["class_name"])];
  const config = isObject(json["config"]) ? json["config"] : {};
  if (name === undefined) return undefined;
  const known = initializerArguments.flatMap((key): [string, Json][] => {
    const value = config[key];
    return typeof value === "number" || typeof value === "string" || value === null ? [[key, value]] : [];
  });
  const distribution = config["distribution"];
  if (typeof distribution === "string") {
    known.push(["distribution", distribution === "uniform" ? "uniform" : "normal"]);
  }
  return { class_name: name, config: Object.fromEntries(known) };
}

/** Translates a regularizer to L1L2 with both factors, since tfjs-layers uses 0.01 for a missing one. */
function tfjsRegularizer(json: Json | undefined): JsonObject | undefined {
  if (!isObject(json)) return undefined;
  const name = String(json["class_name"]);
  if (name !== "L1" && name !== "L2" && name !== "L1L2") return undefined;
  const config = isObject(json["config"]) ? json["config"] : {};
  return { class_name: "L1L2", config: { l1: config["l1"] ?? 0, l2: config["l2"] ?? 0 } };
}
