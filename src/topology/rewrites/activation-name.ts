import type { Json, JsonObject } from "../../checkpoint.ts";

/**
 * The activation that a config names, `"linear"` where it names none; null for one with arguments or of the user's own, which
 * no rewrite may touch. Keras 3 writes a function as `{ class_name: "function", config: "relu" }`
 * (`keras/src/saving/serialization_lib.py`).
 */
export function activationName(config: JsonObject): string | null {
  return nameOf(config["activation"] ?? null);
}

export function isLinear(config: JsonObject): boolean {
  return activationName(config) === "linear";
}

function nameOf(activation: Json): string | null {
  if (activation === null) return "linear";
  if (typeof activation === "string") return activation;
  if (typeof activation !== "object" || !("class_name" in activation)) return null;
  const { class_name: className, config } = activation;
  return className === "function" && typeof config === "string" ? config : null;
}

const alongLastAxis = new Set(["glu", "log_softmax", "softmax", "sparsemax"]);

/** Whether the named activation reads more than its own element: it runs along the last axis. */
export function runsAlongLastAxis(name: string): boolean {
  return alongLastAxis.has(name);
}
